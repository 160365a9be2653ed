"""What agents are asked to do, in each language. Statements that may set `result`, run inside a turn."""

from typing import Final, NamedTuple

PYTHON_HANDS = '''
"""Does what a message says: Python statements that may set `result`."""

import json

from podium.agent import BaseAgent


class Hands(BaseAgent):
    async def on_message(self, ctx, message):
        names = {"ctx": ctx, "result": None}
        exec(message["text"], names)
        reply = await ctx.send_message()
        await reply.stream_token(json.dumps(names["result"], default=str), final=True)
'''

TYPESCRIPT_HANDS = """
/** Does what a message says: statements that may set `result`. */

import { BaseAgent, type AgentContext, type AgentInput } from "@podium/ts";

const Statements: any = (async () => {}).constructor;

export default class Hands extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const done = new Statements("ctx", "require", `let result = null;\\n${input.text}\\nreturn result;`);
    const result = await done(ctx, import.meta.require);
    const reply = await ctx.sendMessage();
    await reply.streamToken(JSON.stringify(result), { final: true });
  }
}
"""


class Deed(NamedTuple):
    """The same in both languages."""

    python: str
    typescript: str

    def __mod__(self, values: object) -> "Deed":
        return Deed(self.python % values, self.typescript % values)


SAY_ONE: Final = Deed("result = 1", "result = 1")

DESCRIBE: Final = Deed(
    "import os\n"
    "sid = os.getsid(0) == os.getpid()\n"
    "result = [dict(os.environ), os.getcwd(), sid, sorted(int(n) for n in os.listdir('/proc/self/fd'))[:3]]",
    "const fs = require('node:fs');\n"
    "const stat = fs.readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1).split(' ');\n"
    "const numbers = fs.readdirSync('/proc/self/fd').map(Number).sort((a, b) => a - b);\n"
    "result = [{ ...process.env }, process.cwd(), Number(stat[3]) === process.pid, numbers.slice(0, 3)];",
)
"""Its environment, its directory, whether it leads a session, its first three descriptors."""

DESCRIPTORS: Final = Deed(
    "import os\nresult = []\n"
    "for n in os.listdir('/proc/self/fd'):\n"
    "    try: result.append((int(n), os.readlink('/proc/self/fd/' + n)))\n"
    "    except OSError: pass\n",
    "const fs = require('node:fs');\nresult = [];\n"
    "for (const n of fs.readdirSync('/proc/self/fd')) {\n"
    "  try { result.push([Number(n), fs.readlinkSync('/proc/self/fd/' + n)]); } catch {}\n"
    "}",
)

DAEMON: Final = Deed(
    """
import os, subprocess
for environment in (dict(os.environ), {}):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve("/bin/sleep", ["sleep", "%s"], environment)
        os._exit(0)
    os.wait()
subprocess.Popen(["/bin/sleep", "%s"])
result = os.getpid()
""",
    """
const silent = { stdin: "ignore", stdout: "ignore", stderr: "ignore" };
for (const env of [process.env, {}]) {
  Bun.spawnSync(["/usr/bin/setsid", "--fork", "/bin/sleep", "%s"], { env, ...silent });
}
Bun.spawn(["/bin/sleep", "%s"], silent);
result = process.pid;
""",
)
"""Starts three sleepers: two daemons that left session, parent and (one) environment behind, and a plain child."""

DAEMONS: Final = 3

CHILD: Final = Deed(
    "import subprocess\nsubprocess.Popen(['/bin/sleep', '%s'])",
    "Bun.spawn(['/bin/sleep', '%s'], { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' });",
)

EXIT: Final = Deed("import os\nos._exit(3)", "process.exit(3)")

PRINT_AND_EXIT: Final = Deed(
    "import os, sys\nprint('x' * 200_000)\nprint('why', file=sys.stderr)\nsys.stdout.flush()\nos._exit(0)",
    "await Bun.write(Bun.stdout, 'x'.repeat(200_000));\nawait Bun.write(Bun.stderr, 'why');\nprocess.exit(0);",
)

DEFAULT_SIGTERM: Final = Deed(
    "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_DFL)", "process.removeAllListeners('SIGTERM');"
)

LIMITS: Final = Deed(
    "import resource\nresult = []\n"
    "try: bytearray(256 * 2**20)\n"
    "except MemoryError: result.append('memory')\n"
    "try:\n"
    "    with open('big', 'wb') as file:\n"
    "        file.write(bytes(2 * 2**20))\n"
    "except OSError: result.append('disk')\n"
    "result.append(resource.getrlimit(resource.RLIMIT_CORE)[0])\n",
    "const fs = require('node:fs');\nresult = [];\n"
    "try { Buffer.alloc(256 * 2 ** 20, 1); } catch { result.push('memory'); }\n"
    "try { fs.writeFileSync('big', Buffer.alloc(2 * 2 ** 20)); } catch { result.push('disk'); }\n"
    "const limits = fs.readFileSync('/proc/self/limits', 'utf8');\n"
    "result.push(Number(/Max core file size +(\\d+)/.exec(limits)[1]));",
)
"""Which of 256 MiB of memory and a file of 2 MiB it is refused, and how large a core file it may leave."""

MANY_CHILDREN: Final = Deed(
    "import subprocess\nresult, children = 'all', []\n"
    "for _ in range(40):\n"
    "    try: children.append(subprocess.Popen(['/bin/sleep', '77']))\n"
    "    except OSError: result = 'refused'; break\n"
    "for child in children:\n"
    "    child.kill()\n"
    "    child.wait()\n",
    "result = 'all';\nconst children = [];\n"
    "for (let n = 0; n < 40; n++) {\n"
    "  try { children.push(Bun.spawn(['/bin/sleep', '77'])); } catch { result = 'refused'; break; }\n"
    "}\n"
    "for (const child of children) child.kill('SIGKILL');\n"
    "await Promise.all(children.map((child) => child.exited));",
)

STATUS: Final = Deed(
    "result = open('/proc/self/status').read()",
    "result = require('node:fs').readFileSync('/proc/self/status', 'utf8');",
)

IDS: Final = Deed(
    "import os\nresult = [os.getuid(), os.getgid(), os.getgroups()]",
    "result = [process.getuid(), process.getgid(), process.getgroups()];",
)

OPEN: Final = Deed(
    "import os\ntry: os.listdir(%(path)r) if os.path.isdir(%(path)r) else open(%(path)r).read()\n"
    "except OSError as error: result = type(error).__name__",
    "const fs = require('node:fs');\n"
    "try { if (fs.statSync(%(path)r).isDirectory()) fs.readdirSync(%(path)r); else fs.readFileSync(%(path)r); }\n"
    "catch (error) { result = { EACCES: 'PermissionError', ENOENT: 'FileNotFoundError' }[error.code]; }",
)

SIGNAL: Final = Deed(
    "import os\ntry: os.kill(%(pid)r, 0)\nexcept OSError as error: result = type(error).__name__",
    "try { process.kill(%(pid)r, 0); }\n"
    "catch (error) { result = { EPERM: 'PermissionError', ESRCH: 'ProcessLookupError' }[error.code]; }",
)
