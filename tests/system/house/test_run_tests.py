"""The second look at tests that failed: it tells those that can not bear load from those that are broken, and hides neither."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

SUITE = """
from pathlib import Path
import pytest

def first_time(name):
    mark = Path(__file__).with_name(name)
    if mark.exists():
        return False
    mark.touch()
    return True

@pytest.fixture
def leaving():
    yield
    assert not first_time("left"), "left behind"

def test_steady():
    pass

@pytest.mark.parametrize("way", ["a::b [c]"])
def test_shaken(way):
    assert not first_time("shaken"), "shaken by load"

def test_noisy_at_its_end(leaving):
    pass
"""
BROKEN = '\ndef test_broken():\n    raise AssertionError("for good")\n'


def _run(suite: Path, text: str) -> tuple[int, str]:
    (suite / "pytest.ini").write_text("[pytest]\n")
    (suite / "test_it.py").write_text(text)
    command = [sys.executable, str(ROOT / "tools" / "run_tests.py"), "-n", "1", "test_it.py"]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p xdist"}
    done = subprocess.run(command, cwd=suite, env=alone, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_what_passes_alone_is_named_and_does_not_fail_the_run(tmp_path: Path) -> None:
    code, said = _run(tmp_path, SUITE)
    assert code == 0
    assert said.endswith(
        "── unsteady: failed under load, passed alone\n"
        "   test_it.py::test_shaken[a::b [c]]\n"
        "   test_it.py::test_noisy_at_its_end\n"
    ), said
    assert "shaken by load" in said
    assert "left behind" in said


def test_what_fails_twice_fails_the_run(tmp_path: Path) -> None:
    code, said = _run(tmp_path, SUITE + BROKEN)
    assert code == 1
    assert said.endswith("── failed twice\n   test_it.py::test_broken\n"), said
    assert said.count("AssertionError: for good") >= 2


def test_many_failures_get_no_second_look(tmp_path: Path) -> None:
    many = (
        f'import pytest\n@pytest.mark.parametrize("n", range(11))\ndef test_each(n):\n    raise AssertionError\n{SUITE}'
    )
    code, said = _run(tmp_path, many)
    assert code == 1
    assert "second look" not in said


def test_a_suite_that_can_not_be_run_is_no_success(tmp_path: Path) -> None:
    code, said = _run(tmp_path, "import nothing_of_this_name\n")
    assert code != 0
    assert "unsteady" not in said
