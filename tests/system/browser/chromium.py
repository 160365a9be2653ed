"""A real browser, driven over its debugging pipe: two descriptors, no port, no library.

The protocol is Chrome's DevTools Protocol: JSON objects with a zero byte behind each, commands answered by `id`.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.noise import leaks
from tests.system.cli.platforms import descendants, reap
from tests.waiting import until

COMMAND_SECONDS = 90.0
WAIT_SECONDS = 60.0

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--mute-audio",
    "--remote-debugging-pipe",
)
"""Nothing of it asks the outside for anything."""


class PageError(AssertionError):
    """What a page ran threw."""


class Browser:
    """A Chromium. Commands are answered in the order in which they are sent; what it tells meanwhile is kept."""

    def __init__(self, write: int, read: int) -> None:
        self._write = write
        self._read = read
        self._unread = b""
        self._count = 0
        self.told: list[dict[str, Any]] = []
        """Its messages that answer nothing."""

    def command(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            self.told.append(answer)

    def open(self, url: str) -> "Page":
        """A page of its own storage, at this address."""
        context = self.command("Target.createBrowserContext")["browserContextId"]
        target = self.command("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, context)
        for domain in ("Page", "Runtime", "Log"):
            self.command(f"{domain}.enable", session)
        page.go(url)
        return page

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + COMMAND_SECONDS
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            data = os.read(self._read, 1 << 20) if ready else b""
            if not data:
                raise PageError("the browser does not answer" if not ready else "the browser is gone")
            self._unread += data
        text, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message


class Page:
    """One page."""

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self._context = context

    def go(self, url: str) -> None:
        """Opens an address."""
        failure = self.command("Page.navigate", url=url).get("errorText")
        assert failure is None, f"{url}: {failure}"
        self._loaded()

    def reload(self) -> None:
        """Loads the page again."""
        self.command("Page.reload")
        self._loaded()

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the debugging protocol, to this page."""
        return self._browser.command(method, self._session, **parameters)

    def run(self, code: str) -> Any:
        """The value of an expression in the page; of what a promise gives."""
        answer = self.command("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def wait_for(self, code: str) -> None:
        """Waits until an expression is true; says what the page shows when it does not become so."""
        try:
            until(lambda: self._holds(code), WAIT_SECONDS)
        except TimeoutError:
            raise AssertionError(f"never true: {code}\n{self.text('body')}\n{self.problems()}") from None

    def text(self, selector: str) -> str:
        """What an element shows."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str, text: str = "") -> None:
        """Clicks on the element with this text, as soon as it is there and may be clicked."""
        found = (
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            f".find((one) => one.checkVisibility() && !one.disabled && (!{json.dumps(text)} || one.innerText.trim() === {json.dumps(text)}))"
        )
        self.wait_for(f"{found} !== undefined")
        place = self.run(
            f"(() => {{ const one = {found}; one.scrollIntoView({{block: 'center'}});"
            "const at = one.getBoundingClientRect(); return [at.x + at.width / 2, at.y + at.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            button = {"button": "left", "clickCount": 1}
            self.command("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], **button)

    def type(self, text: str, *, enter: bool = False) -> None:
        """Types where the cursor is."""
        self.command("Input.insertText", text=text)
        if enter:
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            for kind in ("keyDown", "keyUp"):
                self.command("Input.dispatchKeyEvent", type=kind, **key)

    def problems(self) -> list[str]:
        """What was thrown and not caught, and errors of the console, in all pages so far."""
        found = []
        for message in self._browser.told:
            parameters = message.get("params", {})
            if message.get("method") == "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                found.append(str(details.get("exception", {}).get("description") or details["text"]))
            if message.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
                found.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        return found

    def close(self) -> None:
        """Closes it, with what it stored."""
        self._browser.command("Target.disposeBrowserContext", browserContextId=self._context)

    def _holds(self, code: str) -> bool:
        try:
            return bool(self.run(f"Boolean({code})"))
        except PageError as error:
            if "context" in str(error):  # the page is being loaded
                return False
            raise

    def _loaded(self) -> None:
        self.wait_for("document.readyState === 'complete'")


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser whose profile is in `folder`; skips where there is none."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium on this host: tools/install_test_programs.sh installs it")
    commands_out, commands_in = os.pipe()
    answers_out, answers_in = os.pipe()
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            close_fds=False,  # ours close by themselves; 3 and 4 are the child's alone
            preexec_fn=partial(_prepare, commands_out, answers_in),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
        )
    os.close(commands_out)
    os.close(answers_in)
    browser = Browser(commands_in, answers_out)
    try:
        yield browser
    finally:
        # Its helpers are its own children (it adopts those that lose theirs): with it gone they are ours to take leave of.
        helpers = descendants(process.pid)
        for pid in (process.pid, *helpers):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        reap(helpers)
        os.close(commands_in)
        os.close(answers_out)


def _prepare(commands: int, answers: int) -> None:
    """Puts the pipes where the browser looks for them: it reads commands from descriptor 3 and answers on 4."""
    leaks.adopt_orphans()
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in (commands, answers)]
    for number, descriptor in enumerate(aside, start=3):
        os.dup2(descriptor, number)
