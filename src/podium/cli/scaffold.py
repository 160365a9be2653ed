"""The files of a new agent."""

from typing import Final

_MANIFEST: Final = """\
[agent]
type = "{name}"
version = "1.0.0"
runtime = "python"
entry = "agent:{class_name}"
description = "Answers, and remembers how often it was asked"

[config]                    # defaults; ctx.get_config("greeting") reads them
greeting = "Hello"

[limits]                    # all of it optional
memory = "512MiB"
turn_timeout = "30m"
idle_timeout = "15m"        # sleeps after this long without a message; "0" = never
"""

_AGENT: Final = '''\
"""{name}: answers, and remembers how often it was asked."""

from podium.agent import AgentContext, BaseAgent, DeltaState


class {class_name}(BaseAgent):
    class State(DeltaState):
        """What the agent remembers. Changing it is saving it, also over crashes and restarts."""

        _version = 1
        _entity_type = "{name}"
        count: int = 0
        topics: list[str] = []

    async def on_message(self, ctx: AgentContext, message: dict) -> None:
        ctx.state.count += 1
        ctx.state.topics.append(message["text"])
        greeting = ctx.get_config("greeting", "Hello")
        reply = await ctx.send_message()
        await reply.stream_token(f"{{greeting}}! You said {{message['text']!r}}. ")
        await reply.stream_token(f"That was message {{ctx.state.count}}.", final=True)
'''

_TEST: Final = '''\
"""Run with plain pytest; no server is needed."""

import asyncio

from agent import {class_name}
from podium.testing import AgentHarness


def test_it_answers_and_counts() -> None:
    async def conversation() -> None:
        async with AgentHarness({class_name}, config={{"greeting": "Hello"}}) as harness:
            await harness.send("first")
            turn = await harness.send("second")
            assert turn.text == "Hello! You said 'second'. That was message 2."
            assert harness.state["count"] == 2

    asyncio.run(conversation())
'''

_README: Final = """\
# {name}

| file | what it is |
| --- | --- |
| `agent.py` | the agent |
| `podium.toml` | its manifest: type, version, entry, limits |
| `test_agent.py` | its test: `python -m pytest` |

```text
podium dev {name}       run it, restart it at every save, talk to it
podium deploy {name}    upload this version; change `version` for the next one
podium chat {name}      talk to what is deployed
```

Python packages it needs go into `requirements.txt` (or `pyproject.toml`); each deployment gets an environment of its own.
"""

_IGNORE: Final = "test_*.py\n.env\n"


_TS_MANIFEST: Final = """\
[agent]
type = "{name}"
version = "1.0.0"
runtime = "typescript"
entry = "src/agent.ts"
description = "Answers, and remembers how often it was asked"

[config]                    # defaults; ctx.getConfig("greeting") reads them
greeting = "Hello"

[limits]                    # all of it optional
memory = "512MiB"
turn_timeout = "30m"
idle_timeout = "15m"        # sleeps after this long without a message; "0" = never
"""

_TS_AGENT: Final = """\
/** {name}: answers, and remembers how often it was asked. */

import {{ BaseAgent, DeltaState, type AgentConfig, type AgentContext, type AgentInput }} from "@podium/ts";

/** What the agent remembers. Changing it is saving it, also over crashes and restarts. */
class {class_name}State extends DeltaState {{
  static override version = 1;
  static override entityType = "{name}";
  count = 0;
  topics: string[] = [];
}}

export class {class_name} extends BaseAgent<{class_name}State> {{
  static override State = {class_name}State;

  override async onMessage(ctx: AgentContext<{class_name}State>, input: AgentInput): Promise<void> {{
    ctx.state.count += 1;
    ctx.state.topics.push(input.text);
    const greeting = ctx.getConfig("greeting", "Hello");
    const reply = await ctx.sendMessage();
    await reply.streamToken(`${{greeting}}! You said "${{input.text}}". `);
    await reply.streamToken(`That was message ${{ctx.state.count}}.`, {{ final: true }});
  }}
}}

export default (config: AgentConfig) => new {class_name}(config);
"""

_TS_TEST: Final = """\
/** Run with `bun test`; no server is needed. */

import {{ expect, test }} from "bun:test";
import {{ AgentHarness }} from "@podium/ts/testing";

import {{ {class_name} }} from "../src/agent.ts";

test("it answers and counts", async () => {{
  await using harness = await AgentHarness.start({class_name}, {{ config: {{ greeting: "Hello" }} }});
  await harness.send("first");
  const turn = await harness.send("second");
  expect(turn.text).toBe('Hello! You said "second". That was message 2.');
  expect(harness.state).toMatchObject({{ count: 2 }});
}});
"""

_TS_PACKAGE: Final = """\
{{
  "name": "{name}",
  "private": true,
  "type": "module",
  "scripts": {{ "check": "tsc", "test": "bun test" }},
  "devDependencies": {{ "@types/bun": "^1.3.0", "typescript": "^7.0.0" }}
}}
"""

_TS_CONFIG: Final = """\
{
  "compilerOptions": {
    "target": "ES2022",
    "module": "ESNext",
    "moduleResolution": "bundler",
    "lib": ["ES2023", "ESNext.Disposable"],
    "types": ["bun"],
    "strict": true,
    "noUncheckedIndexedAccess": true,
    "noImplicitOverride": true,
    "verbatimModuleSyntax": true,
    "allowImportingTsExtensions": true,
    "noEmit": true,
    "skipLibCheck": true
  },
  "include": ["src", "test"]
}
"""

_TS_README: Final = """\
# {name}

| file | what it is |
| --- | --- |
| `src/agent.ts` | the agent |
| `podium.toml` | its manifest: type, version, entry, limits |
| `test/agent.test.ts` | its test: `bun test` |
| `package.json`, `tsconfig.json` | packages it needs, and how `bun run check` looks at types |

```text
podium dev {name}       run it, restart it at every save, talk to it
podium deploy {name}    upload this version; change `version` for the next one
podium chat {name}      talk to what is deployed
bun install             for editors and `bun run check`: the types of Bun
```

`@podium/ts` comes with Podium, not from a registry: `podium new`, `podium dev` and `podium deploy` link it into `node_modules`,
where editors and `bun test` find it. Packages the agent needs go into `package.json` (with `bun add`); commit `bun.lock`, which
deployments follow to the letter.
"""

_TS_IGNORE: Final = "test/\n.env\n"


def files_of(name: str, runtime: str) -> dict[str, str]:
    """File name → text of a new agent called `name` (a valid agent type) for `python` or `typescript`."""
    return typescript_files(name) if runtime == "typescript" else python_files(name)


def typescript_files(name: str) -> dict[str, str]:
    """File name → text of a new agent in TypeScript."""
    words = {"name": name, "class_name": class_name(name)}
    return {
        "podium.toml": _TS_MANIFEST.format(**words),
        "src/agent.ts": _TS_AGENT.format(**words),
        "test/agent.test.ts": _TS_TEST.format(**words),
        "package.json": _TS_PACKAGE.format(**words),
        "tsconfig.json": _TS_CONFIG,
        "README.md": _TS_README.format(**words),
        ".podiumignore": _TS_IGNORE,
        ".gitignore": "node_modules/\n.podium/\n.env\n",
    }


def python_files(name: str) -> dict[str, str]:
    """File name → text of a new agent in Python."""
    words = {"name": name, "class_name": class_name(name)}
    return {
        "podium.toml": _MANIFEST.format(**words),
        "agent.py": _AGENT.format(**words),
        "test_agent.py": _TEST.format(**words),
        "README.md": _README.format(**words),
        ".podiumignore": _IGNORE,
        ".gitignore": "__pycache__/\n.podium/\n.venv/\n.env\n",
    }


def class_name(name: str) -> str:
    """A class name from an agent type: `my-agent` → `MyAgent`."""
    made = "".join(word.capitalize() for word in name.split("-") if word)
    return made if made[:1].isalpha() else f"Agent{made}"
