"""`@podium/client` as its users have it: packed, installed in a folder of their own, run by Bun and by Node against a platform."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from podium.base.bun import find_bun
from podium.wire import files
from tests.bun import needs_bun
from tests.system.cables import Cable, cable
from tests.system.cli.platforms import Up, descendants, running

pytestmark = needs_bun

ROOT = Path(__file__).parents[3]
TYPESCRIPT = ROOT / "typescript"
PROGRAMS = TYPESCRIPT / "client" / "test" / "programs"
COUNTER = ROOT / "examples" / "counter"
TOOLSMITH = ROOT / "examples" / "toolsmith"
RUN_SECONDS = 100.0
LAST = 120
KILLS = {"10": "gateway", "30": "connection", "50": "agent", "80": "coordinator", "100": "connection"}

CONSUMER = """
import { SessionClient, type SessionEvent } from "@podium/client/sessions";
import { isKind, PodiumClient, PodiumConnectionError, type PodiumConnection, type PodiumEvent } from "@podium/client";

export async function last(stream: PodiumConnection): Promise<PodiumEvent | undefined> {
  let found: PodiumEvent | undefined;
  for await (const event of stream.events) {
    if (isKind(event, "stream_end")) {
      const reason: "cancelled" | "end_turn" | "error" | "max_tokens" | "refusal" = event.content.stop_reason;
      console.log(reason);
    }
    found = event;
  }
  return found;
}

const podium = new PodiumClient({ url: "http://127.0.0.1:1", apiKey: "pod_x", WebSocket });
const alive: boolean = await podium.isAlive("inst-aaaaaaaaaaaaaaaa");
try {
  const made: { instanceId: string; deploymentId: string } = await podium.createInstance({ agentType: "echo" });
  const ack = await (await podium.connect(made.instanceId, { after: 0 })).sendMessage("hello", { tone: "kind" });
  const turn: string | null | undefined = ack.turn_id;
  console.log(turn);
} catch (error) {
  if (!(error instanceof PodiumConnectionError)) throw error;
  const { operation, instanceId, status, code, retryable, cause } = error;
  console.log(alive, operation, instanceId, status, code, retryable, cause instanceof Error);
}
export function textOf(event: SessionEvent): string {
  switch (event.type) {
    case "text_delta":
      return event.text;
    case "turn_complete":
      return event.finalText;
    default:
      return event.type;
  }
}

const sessions = new SessionClient({ url: "https://agents.example", token: async () => "jwt" });
sessions.session("a").on("permission_requested", ({ options }) => console.log(options.map(({ optionId }) => optionId)));
// @ts-expect-error an event has no such member
sessions.session("a").on("turn_started", (event) => event.text);
// @ts-expect-error a file has no such member
void podium.readFile("inst-a", "a").then((file) => file.nothing);
"""


@dataclass(frozen=True)
class Runtime:
    """A program that runs JavaScript, in a folder where the package is installed."""

    command: tuple[str, ...]
    folder: Path

    def command_of(self, program: str, *arguments: str) -> list[str]:
        """The command line of one of the programs."""
        return [*self.command, str(self.folder / program), *arguments]


def _run(command: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PODIUM_URL": "", "PODIUM_API_KEY": "", "NO_COLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _compiler() -> Path:
    compiler = TYPESCRIPT / "node_modules" / ".bin" / "tsc"
    if not compiler.exists():
        try:
            _run([str(find_bun()), "install", "--frozen-lockfile"], TYPESCRIPT)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"the TypeScript compiler can't be installed here: {error}")
    return compiler


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh folder with the packed package installed in it, and the programs that use it."""
    _compiler()
    made = tmp_path_factory.mktemp("typescript")
    shutil.copytree(TYPESCRIPT / "client", made / "client", ignore=shutil.ignore_patterns("dist", "node_modules"))
    for name in ("package.json", "tsconfig.base.json"):
        shutil.copy(TYPESCRIPT / name, made)
    (made / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
    bun = str(find_bun())
    _run([bun, "run", "build"], made / "client", PATH=f"{Path(bun).parent}:{os.environ['PATH']}")
    _run([bun, "pm", "pack", "--ignore-scripts", "--destination", str(made)], made / "client")
    folder = tmp_path_factory.mktemp("consumer")
    (folder / "package.json").write_text('{"name": "consumer", "private": true, "type": "module"}')
    (package,) = made.glob("*.tgz")
    _run([bun, "add", str(package)], folder)
    for program in PROGRAMS.glob("*.mjs"):
        shutil.copy(program, folder)
    return folder


@pytest.fixture(params=["bun", "node"])
def runtime(request: pytest.FixtureRequest, consumer: Path) -> Runtime:
    """Bun, then Node; before 22 that has a WebSocket only when it is asked for one."""
    if request.param == "bun":
        return Runtime((str(find_bun()),), consumer)
    return Runtime(_node(), consumer)


def _node() -> tuple[str, ...]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    version = _run([node, "--version"], ROOT).strip().removeprefix("v")
    major = int(version.partition(".")[0])
    if major < 20:
        pytest.skip(f"node {version} is older than 20")
    return (node,) if major >= 22 else (node, "--experimental-websocket", "--no-warnings")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform with the counter and the toolsmith, and a Diminuendo over it."""
    with running(tmp_path_factory.mktemp("platform"), DIMINUENDO_ENABLE="true") as made:
        for example in (COUNTER, TOOLSMITH):
            made.run("deploy", str(example))
        yield made


def _access(up: Up) -> dict[str, str]:
    return {
        "PODIUM_URL": (up.data / "address").read_text().strip(),
        "PODIUM_API_KEY": (up.data / "dev-key").read_text().strip(),
    }


def test_a_whole_conversation_with_files_fork_and_rewind(up: Up, runtime: Runtime) -> None:
    agent = f"dora-{Path(runtime.command[0]).name}"
    seen = json.loads(_run(runtime.command_of("conversation.mjs", agent), runtime.folder, **_access(up)))
    assert seen.pop("deploymentId").startswith("counter:1.0.0@")
    seqs, journal = seen.pop("seqs"), seen.pop("journal")
    assert seqs == list(range(1, seen.pop("lastSeq") + 1))
    assert journal == list(range(1, len(journal) + 1))
    seen.pop("history")
    assert seen == {
        "isSame": True,
        "metadata": "kind",
        "answer": "message 1: 'hello'",
        "nack": "no_turn",
        "pong": "p-1",
        "isOneTurn": True,
        "state": 2,
        "said": ["hello", "message 1: 'hello'", "twice", "message 2: 'twice'"],
        "changed": "file_changed",
        "files": ["notes", "notes/äöü history.txt"],
        "file": [0xFF, 0xFE],
        "before": 3,
        "isHistory": True,
        "missing": "file_not_found",
        "streamed": 2,
        "followed": True,
        "forkCount": 1,
        "isMoment": True,
        "rewoundCount": 1,
        "undoneCount": 2,
        "moments": ["rewind", "rewind"],
        "deployments": ["counter"],
        "agents": [agent],
        "wasAlive": True,
        "isAlive": False,
        "last": "state.status",
        "end": "instance_stopping",
        "gone": "instance_stopping",
        "stranger": "unauthenticated",
    }


@pytest.mark.proves("CLIENT-RESUME")
def test_a_stream_survives_the_death_of_everything_behind_it(tmp_path: Path, runtime: Runtime) -> None:
    with running(tmp_path) as up:
        up.run("deploy", str(COUNTER))
        events, end = asyncio.run(_count(up, runtime))
    assert [event for event in events if event["seq"] == 0] == []
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    updates = [event["text"].strip() for event in events if event["kind"] == "stream_update"]
    assert sorted({int(text) for text in updates if text.isdigit()}) == list(range(1, LAST + 1))
    said = [event["text"] for event in events if event["kind"] == "message.user"]
    assert said == [f"count to {LAST}", "and then?"]
    assert end["lastSeq"] == len(events)
    # What the gateway mends by itself, and a cut while another one is being mended, are no reconnects of their own.
    assert end["reconnects"] >= 2


async def _count(up: Up, runtime: Runtime) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    access = _access(up)
    async with cable(access["PODIUM_URL"]) as made:
        return await _count_over(made, up, runtime, {**access, "PODIUM_URL": made.url})


async def _count_over(
    cable: Cable, up: Up, runtime: Runtime, access: dict[str, str]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        *runtime.command_of("resume.mjs", str(LAST)),
        cwd=runtime.folder,
        env={**os.environ, **access},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    kills, lines = dict(KILLS), []
    assert process.stdout is not None
    try:
        async with asyncio.timeout(RUN_SECONDS):
            async for line in process.stdout:
                lines.append(json.loads(line))
                victim = kills.pop(lines[-1].get("text", "").strip(), None)
                if victim == "connection":
                    cable.cut()
                elif victim == "agent":
                    os.kill(_agent_pid(up, lines[-1]["workspace"]), signal.SIGKILL)
                elif victim is not None:
                    os.kill(up.daemons()[victim], signal.SIGKILL)
            _, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0, stderr.decode()
    assert not kills
    return lines[:-1], lines[-1]


def _agent_pid(up: Up, workspace: str) -> int:
    """The process below the platform that works in this directory."""
    for pid in descendants(up.process.pid):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cwd").readlink() == Path(workspace):
                return pid
    raise AssertionError(f"no process works in {workspace}")


@pytest.mark.proves("CLIENT-SESSIONS")
def test_sessions_are_whole_over_a_connection_that_is_cut(up: Up, runtime: Runtime) -> None:
    said = asyncio.run(_talk(up, runtime))
    seqs = said.pop("seqs")
    assert seqs == list(range(1, len(seqs) + 1))
    assert said.pop("kinds") > 15
    assert said == {
        "userId": "dev",
        "final": "I made words.sh, and it works. That is tool number 1.",
        "file": "#!/bin/sh",
        "versions": 1,
        "said": ["user", "assistant"],
        "counted": list(range(1, 41)),
        "refused": "SESSION_NOT_FOUND",
        "isListed": True,
        "renamed": "renamed",
        "statuses": ["online", "offline", "closed"],
    }


async def _talk(up: Up, runtime: Runtime) -> dict[str, Any]:
    """What the program of sessions says at its end; its connection is cut when it says so."""
    async with cable(json.loads(up.out())["diminuendo"]) as made:
        process = await asyncio.create_subprocess_exec(
            *runtime.command_of("sessions.mjs", made.url),
            cwd=runtime.folder,
            env={**os.environ, **_access(up)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        last = b""
        try:
            async with asyncio.timeout(RUN_SECONDS):
                async for line in process.stdout:
                    if line == b"cut\n":
                        made.cut()
                    last = line
                _, stderr = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
    assert process.returncode == 0, stderr.decode()
    found: dict[str, Any] = json.loads(last)
    return found


def test_the_program_of_the_how_to_does_what_it_says(up: Up, runtime: Runtime) -> None:
    page = (ROOT / "docs" / "howto" / "write-a-client.md").read_text()
    (program,) = re.findall(r"^```ts\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    agent = f"nora-{Path(runtime.command[0]).name}"
    (runtime.folder / "how-to.mjs").write_text(program.replace("nora", agent))
    said = _run(runtime.command_of("how-to.mjs"), runtime.folder, **_access(up))
    assert said == "message 1: 'hello'\n"


def test_a_strict_program_compiles_against_the_package(consumer: Path) -> None:
    (consumer / "consumer.ts").write_text(CONSUMER)
    for name in ("client", "sessions"):
        page = (ROOT / "docs" / "reference" / f"typescript-{name}.md").read_text()
        (consumer / f"{name}.ts").write_text(re.findall(r"^```ts\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0])
    compiler = str(_compiler())
    common = [
        "--noEmit",
        "--strict",
        "--target",
        "es2022",
        "--noUncheckedIndexedAccess",
        "--exactOptionalPropertyTypes",
    ]
    for module, resolution in (("nodenext", "nodenext"), ("esnext", "bundler")):
        kinds = ["--module", module, "--moduleResolution", resolution, "--types", ""]
        _run([compiler, *common, *kinds, "consumer.ts", "client.ts", "sessions.ts"], consumer)


def test_what_is_packed_is_what_is_needed(consumer: Path) -> None:
    package = consumer / "node_modules" / "@podium" / "client"
    assert {"package.json", "README.md", "dist", "src"} <= {path.name for path in package.iterdir()}
    assert not (package / "test").exists()
    assert json.loads((package / "package.json").read_text()).get("dependencies") is None
    # Web APIs only: nothing of Bun or Node is imported, and no specifier leads to a file that is not there.
    for module in (package / "dist").rglob("*.js"):
        for line in module.read_text().splitlines():
            if line.startswith(("import ", "export ")) and " from " in line:
                target = line.rpartition(" from ")[2].strip('";')
                assert target.startswith("."), f"{module}: {line}"
                assert (module.parent / target).is_file(), f"{module}: {line}"


def test_the_types_of_files_have_the_fields_of_the_wire() -> None:
    text = (TYPESCRIPT / "client" / "src" / "api" / "file_types.ts").read_text()
    declared: dict[str, str] = dict(re.findall(r"^export interface (\w+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL))
    renamed = {"IterationMeta": "FileIteration"}
    for name, body in declared.items():
        fields = re.findall(r"^  (\w+)(\??): ", body, re.MULTILINE)
        wire = msgspec.structs.fields(getattr(files, renamed.get(name, name)))
        assert [field for field, _ in fields] == [field.encode_name for field in wire], name
        # What is left out of an answer when it has nothing to say is what may be absent here.
        assert {field for field, mark in fields if mark} == {
            field.encode_name for field in wire if field.default is None and field.encode_name != "next_cursor"
        }, name
    assert len(declared) == 9


def test_a_node_without_websocket_says_what_to_do(consumer: Path) -> None:
    program = (
        'import { PodiumClient } from "@podium/client"; delete globalThis.WebSocket;'
        'new PodiumClient({ apiKey: "pod_x" }).connect("inst-a").catch((error) => console.log(error.message));'
    )
    said = _run([_node()[0], "--input-type=module", "--eval", program], consumer)
    assert "use Node 22 or newer, start Node 20 with --experimental-websocket, or give the option WebSocket" in said


def test_the_units_of_the_client_pass() -> None:
    _compiler()
    _run([str(find_bun()), "test"], TYPESCRIPT / "client")


def test_the_client_and_its_tests_are_well_typed() -> None:
    _run([str(_compiler()), "--project", "client"], TYPESCRIPT)
