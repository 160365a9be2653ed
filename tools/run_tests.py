"""Runs the whole suite, and takes a second look at the few tests that failed.

A failure on a loaded machine is either a fault or a test that can not bear the load, and which of them it was is worth
a minute: when few tests failed, each is run once more, alone, in a process of its own. One that passes then is named at
the end as unsteady and does not fail the run; one that fails twice does. What the first failure said stays in the log
above, and the list of the unsteady is there to be made shorter: each is a fault of the product or of the test.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

AT_MOST = 10
"""More failures than this are no matter of load; no second look is taken."""

PASSED, FAILED = 0, 1
"""Exit codes of pytest that say something of the tests; the others say that they could not be run."""

UNSTEADY = "unsteady: failed under load, passed alone"
FAILED_TWICE = "failed twice"


@dataclass(frozen=True)
class SecondLook:
    """What the second look at the tests that failed has shown."""

    unsteady: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Of the whole run."""
        return FAILED if self.failed else PASSED

    def lines(self) -> list[str]:
        """A heading and the names below it, for each kind there is."""
        kinds = ((UNSTEADY, self.unsteady), (FAILED_TWICE, self.failed))
        return [
            line for heading, names in kinds if names for line in (f"── {heading}", *(f"   {name}" for name in names))
        ]


def look_again(names: Sequence[str], passes_alone: Callable[[str], bool]) -> SecondLook:
    """Runs each of `names` alone, one after the other; `passes_alone` runs one."""
    passed = {name: passes_alone(name) for name in names}
    return SecondLook(
        unsteady=tuple(name for name in names if passed[name]), failed=tuple(name for name in names if not passed[name])
    )


def _pytest(cache: Path, *arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", *arguments]
    return subprocess.run(command, check=False).returncode


def _failed_names(cache: Path) -> list[str]:
    """Those with a failure in body, set-up or teardown, as pytest's cache of the last run has them."""
    try:
        return list(json.loads((cache / "v" / "cache" / "lastfailed").read_text()))
    except FileNotFoundError:
        return []


def main(arguments: list[str]) -> int:
    """Runs pytest with the arguments; its exit code, or after a second look 0 when no test failed twice."""
    with tempfile.TemporaryDirectory(prefix="podium-run-") as directory:
        code = _pytest(first := Path(directory, "first"), *arguments)
        names = _failed_names(first)
        if code != FAILED or not 0 < len(names) <= AT_MOST:
            return code
        print(f"\n── a second look at {len(names)} that failed, each alone", flush=True)
        look = look_again(names, lambda name: _pytest(Path(directory, "second"), "-q", name) == PASSED)
    print("", *look.lines(), sep="\n", flush=True)
    return look.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
