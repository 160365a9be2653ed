"""The mount answers system calls as the host's own file system does, and leaves the same behind.

Differential, in the spirit of pjdfstest: each call meets each state a path can be in, as root, as the owner and as somebody
else. What may differ is in `EXCEPTIONS`, each with its reason.
"""

import os
from pathlib import Path

import pytest

from tests.conformance.chronicle.calls import ONE_PATH, TWO_PATHS
from tests.conformance.chronicle.scenery import STATES
from tests.conformance.chronicle.trial import USERS, differences, in_a_child

EXCEPTIONS: dict[tuple[str, str], str] = {
    (
        "sync",
        "fifo",
    ): "what goes through a fifo never reaches a file system over FUSE, nor does the time of writing to it",
}
"""(call, state): why the mount may differ there."""

PAIR_STATES = (
    "missing", "file", "linked file", "directory", "full directory", "link to a file", "dangling link", "fifo",
    "longest name", "name too long", "below a file", "below nothing", "file with a slash", "missing with a slash",
    "unwritable", "foreign in sticky", "sealed directory",
)  # fmt: skip

AS = [name for name in USERS if os.geteuid() == 0 or name == "root"]
"""An ordinary user can only be itself ("root" then means: who runs the tests)."""


def _unexplained(call: str, found: list[str]) -> list[str]:
    return [line for line in found if not any(c == call and line.startswith(state) for c, state in EXCEPTIONS)]


@pytest.mark.proves("CHR-POSIX")
@pytest.mark.parametrize("user", AS)
@pytest.mark.parametrize("call", ONE_PATH)
def test_a_call_on_a_path_in_any_state_answers_as_on_the_host(plain: Path, mounted: Path, call: str, user: str) -> None:
    combinations = [(state,) for state in STATES]
    found = in_a_child(lambda: differences(plain, mounted, combinations, ONE_PATH[call], USERS[user]))
    assert _unexplained(call, found) == []


@pytest.mark.proves("CHR-POSIX")
@pytest.mark.parametrize("user", AS)
@pytest.mark.parametrize("call", TWO_PATHS)
def test_a_call_on_two_paths_in_any_states_answers_as_on_the_host(
    plain: Path, mounted: Path, call: str, user: str
) -> None:
    combinations = [(source, target) for source in PAIR_STATES for target in PAIR_STATES]
    found = in_a_child(lambda: differences(plain, mounted, combinations, TWO_PATHS[call], USERS[user]))
    assert _unexplained(call, found) == []
