"""A real browser: the example page talks with agents of a real platform, and the client of the API is used by a page."""

import asyncio
import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from podium.base.bun import find_bun
from podium.cli.project import Project
from podium.cli.upload import deploy
from podium.client import ClientSettings, PodiumClient
from tests.bun import needs_bun
from tests.system.browser.chromium import Browser, Page, chromium
from tests.system.cables import CableBeside, cable_beside
from tests.system.cli.platforms import Up, running

pytestmark = needs_bun

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "browser-chat"
CLIENT = ROOT / "typescript" / "client"
BUILD_SECONDS = 60.0

CONSUMER = """
import * as client from "@podium/client";
Object.assign(globalThis, client);
"""
"""A page's program that leaves the client where the test finds it."""

CONVERSATION = """
(async () => {
  const podium = new PodiumClient({ url: URL_HERE, apiKey: KEY_HERE });
  const { instanceId, agentId } = await podium.createInstance("counter", { agentId: "seen-in-a-browser" });
  const stream = await podium.connect(instanceId, { after: 0 });
  const ack = await stream.sendMessage("hello");
  const texts = [], seqs = [];
  for await (const event of stream.events) {
    seqs.push(event.seq);
    if (isKind(event, "stream_end")) texts.push(event.content.text);
    if (isKind(event, "checkpoint") && event.turnId === ack.turn_id) break;
  }
  await podium.files.write(instanceId, "notes/page.txt", new Blob(["from a page"]));
  const file = await podium.readFile(instanceId, "notes/page.txt");
  const missing = await podium.readFile(instanceId, "none").catch((error) => error.code);
  await podium.stopInstance(instanceId);
  await podium.close();
  return { agentId, texts, seqs, file: file.content, missing };
})()
"""


class Site(NamedTuple):
    """Where the built pages are served."""

    folder: Path
    """What it was built from."""
    url: str
    """By an address the servers allow."""
    foreign: str
    """By one that they do not: the same server, another name."""


class Way(NamedTuple):
    """To a Diminuendo: its address, a key, and how the connection is cut."""

    url: str
    key: str
    cable: CableBeside


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Serves the files of a folder; the port."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, name="site")
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def build(folder: Path, page: str) -> None:
    """Has Bun make what a browser reads of a page in `folder`, whose `@podium/client` is the package of this repository."""
    packages = folder / "node_modules" / "@podium"
    packages.mkdir(parents=True)
    (packages / "client").symlink_to(CLIENT)
    done = subprocess.run(
        [str(find_bun()), "build", page, "--outdir", "dist", "--conditions", "bun"],
        cwd=folder,
        env={**os.environ, "NODE_ENV": "production"},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example as its README builds it, and a page that has the client."""
    base = tmp_path_factory.mktemp("site")
    (base / "typescript").symlink_to(ROOT / "typescript")
    folder = base / "examples" / "browser-chat"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (folder / "client.html").write_text('<!doctype html><script type="module" src="./client.ts"></script>')
    (folder / "client.ts").write_text(CONSUMER)
    build(folder, "index.html")
    shutil.move(folder / "dist", folder / "site")
    shutil.rmtree(folder / "node_modules")
    build(folder, "client.html")
    shutil.copytree(folder / "dist", folder / "site", dirs_exist_ok=True)
    with served(folder / "site") as port:
        yield Site(folder, f"http://127.0.0.1:{port}", f"http://foreign.localhost:{port}")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    with chromium(tmp_path_factory.mktemp("chromium")) as made:
        yield made


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform with agents to talk to."""
    with running(tmp_path_factory.mktemp("platform"), DIMINUENDO_ENABLE="true") as made:
        asyncio.run(_deploy(made, "counter", "toolsmith"))
        yield made


@pytest.fixture(scope="module")
def way(up: Up) -> Iterator[Way]:
    """The way to the platform's Diminuendo."""
    with cable_beside(json.loads(up.out())["diminuendo"]) as cable:
        yield Way(cable.url, _access(up)[1], cable)


async def _deploy(up: Up, *names: str) -> None:
    async with PodiumClient(ClientSettings(*_access(up))) as podium:
        for name in names:
            await deploy(podium, Project(ROOT / "examples" / name))


def _access(up: Up) -> tuple[str, str]:
    return (up.data / "address").read_text().strip(), (up.data / "dev-key").read_text().strip()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """The example's page, fresh."""
    browser.told.clear()
    made = browser.open(f"{site.url}/index.html")
    yield made
    made.close()


def connect(page: Page, url: str, key: str, agent: str) -> None:
    """Fills in the form, as a person does."""
    for name, value in (("url", url), ("token", key), ("agent", agent)):
        page.run(f"document.querySelector('[name={name}]').select()")
        page.type(value)
    page.click("#connect button")


def say(page: Page, text: str) -> None:
    """Writes a message and presses Enter."""
    page.wait_for("document.activeElement.id === 'text'")
    page.type(text, enter=True)


def test_a_whole_conversation_with_every_kind_of_event(page: Page, way: Way) -> None:
    connect(page, way.url, way.key, "toolsmith")
    say(page, "make a tool")
    page.click("form.asked label", "words")
    page.click("form.asked button", "Answer")
    page.click("form.asked button", "Allow once")
    page.wait_for("document.querySelector('.answer')?.innerText.includes('That is tool number 1.')")
    assert page.text(".said") == "make a tool"
    assert "They want: make a tool." in page.text(".thought")
    tools = page.run("[...document.querySelectorAll('.tool summary')].map((one) => one.innerText)")
    assert tools == ["✓ list_files", "✗ read_file", "✓ write_file"]
    assert page.text(".terminal").strip() == "3"
    assert page.run("document.querySelectorAll('form.asked').length") == 0
    assert page.text(".answer").strip() == "I made words.sh, and it works. That is tool number 1."
    before = page.text("#log")
    page.reload()
    page.wait_for("document.querySelector('.answer')?.innerText.includes('That is tool number 1.')")
    page.wait_for(f"document.querySelector('#log').innerText === {json.dumps(before)}")
    assert page.problems() == []


@pytest.mark.proves("CLIENT-BROWSER")
def test_a_cut_connection_and_a_reload_lose_nothing_and_repeat_nothing(page: Page, way: Way) -> None:
    connect(page, way.url, way.key, "counter")
    say(page, "count to 60")
    page.wait_for(_counted(10))
    way.cable.out(True)
    page.wait_for("document.querySelector('#status').dataset.status === 'offline'")
    page.type("and how many are you?", enter=True)  # is sent when there is a connection again
    way.cable.out(False)
    page.wait_for(_counted(30))
    page.reload()
    page.wait_for(_counted(60))
    page.wait_for(
        "document.querySelectorAll('.said').length === 2 && document.querySelectorAll('.answer').length === 2"
    )
    first = page.run("document.querySelector('.answer').innerText")
    assert [int(word) for word in first.split() if word.isdigit()] == list(range(1, 61)), first
    said = page.run("[...document.querySelectorAll('.said')].map((one) => one.innerText)")
    assert said == ["count to 60", "and how many are you?"]


def _counted(number: int) -> str:
    return rf"/\b{number}\b/.test(document.querySelector('.answer')?.innerText ?? '')"


def test_an_agent_that_is_taken_back_shows_what_counts_now(page: Page, way: Way, up: Up) -> None:
    connect(page, way.url, way.key, "counter")
    for number, text in enumerate(("one", "two"), start=1):
        say(page, text)
        page.wait_for(
            f"document.querySelectorAll('.answer')[{number - 1}]?.innerText === \"message {number}: '{text}'\""
        )
    asyncio.run(_take_back(up, page.run("location.hash.slice(1)")))
    page.wait_for("document.querySelectorAll('.turn').length === 1")
    assert page.text("#log").split("\n\n") == ["one", "message 1: 'one'"]
    say(page, "three")
    page.wait_for("document.querySelectorAll('.answer')[1]?.innerText === \"message 2: 'three'\"")
    assert page.problems() == []


async def _take_back(up: Up, agent_id: str) -> None:
    """To the end of the agent's first turn."""
    async with PodiumClient(ClientSettings(*_access(up))) as podium:
        moments = [moment async for moment in podium.moments.list(agent_id)]
        first = min(moment.seq for moment in moments if moment.turn_id)
        await podium.moments.rewind(agent_id, first)


def test_a_running_turn_is_stopped(page: Page, way: Way) -> None:
    connect(page, way.url, way.key, "counter")
    say(page, "count to 2000")
    page.wait_for(_counted(5))
    page.click("#stop")
    page.wait_for("document.querySelector('.note')?.innerText === 'cancelled'")
    page.wait_for("document.querySelector('#stop').hidden")
    assert page.problems() == []


def test_a_wrong_key_is_told_and_nothing_is_kept(page: Page, way: Way) -> None:
    connect(page, way.url, "pod_aaaaaaaaaaaa_wrong", "counter")
    page.wait_for("document.querySelector('#problem').innerText !== ''")
    assert page.run("document.querySelector('#connect').hidden") is False
    assert page.run("sessionStorage.length + localStorage.length") == 0
    assert page.text("#status") == "not connected"


def test_everything_has_a_name_and_both_colour_schemes_are_there(page: Page, way: Way) -> None:
    papers = []
    for scheme in ("light", "dark"):
        page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        papers.append(page.run("getComputedStyle(document.body).backgroundColor"))
    assert papers == ["rgb(251, 250, 248)", "rgb(22, 23, 26)"]
    connect(page, way.url, way.key, "toolsmith")
    say(page, "make a tool")
    page.wait_for("document.querySelector('form.asked')")
    nodes = page.command("Accessibility.getFullAXTree")["nodes"]
    named: list[dict[str, Any]] = [node for node in nodes if not node["ignored"]]
    controls = {"button", "textbox", "radio", "log", "form", "navigation", "group", "status"}
    nameless = [
        node["role"]["value"]
        for node in named
        if node["role"]["value"] in controls - {"group", "status", "form"} and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    roles = {node["role"]["value"] for node in named}
    assert {"log", "navigation", "status", "radio", "button"} <= roles


def test_the_page_is_well_typed(site: Site) -> None:
    compiler = ROOT / "typescript" / "node_modules" / ".bin" / "tsc"
    if not compiler.exists():
        pytest.skip("the TypeScript compiler is not installed: tools/check_typescript.sh installs it")
    done = subprocess.run(
        [str(find_bun()), "--bun", compiler, "--noEmit", "--pretty", "false", "-p", site.folder],
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.proves("CLIENT-BROWSER")
def test_the_client_of_the_api_works_in_a_page_of_an_allowed_origin(browser: Browser, site: Site, up: Up) -> None:
    url, key = _access(up)
    browser.told.clear()
    page = browser.open(f"{site.url}/client.html")
    code = CONVERSATION.replace("URL_HERE", json.dumps(url)).replace("KEY_HERE", json.dumps(key))
    page.wait_for("globalThis.PodiumClient !== undefined")
    seen = page.run(code)
    page.close()
    assert seen["seqs"] == list(range(1, len(seen["seqs"]) + 1))
    assert seen["texts"] == ["message 1: 'hello'"]
    assert (seen["agentId"], seen["file"], seen["missing"]) == ("seen-in-a-browser", "from a page", "file_not_found")


def test_a_page_of_another_origin_can_not_use_the_api_nor_open_sessions(
    browser: Browser, site: Site, up: Up, way: Way
) -> None:
    url, key = _access(up)
    page = browser.open(f"{site.foreign}/client.html")
    page.wait_for("globalThis.PodiumClient !== undefined")
    asked = f"fetch({json.dumps(url)} + '/api/v1/agents', {{ headers: {{ Authorization: 'Bearer ' + {json.dumps(key)} }} }})"
    assert page.run(f"{asked}.then(() => 'read', (error) => error.name)") == "TypeError"
    opened = f"new Promise((tell) => {{ const it = new WebSocket({json.dumps(way.url.replace('http', 'ws') + '/ws')});"
    assert page.run(f"{opened} it.onopen = () => tell('open'); it.onclose = () => tell('refused'); }})") == "refused"
    page.close()
