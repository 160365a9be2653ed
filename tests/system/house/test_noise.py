"""Each kind of noise fails a test; silence passes; what is announced is allowed."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[3]

NOISES = {
    "a child process": ("import subprocess\ndef test_x():\n    subprocess.Popen(['sleep', '60'])\n", "processes:"),
    "a daemonised grandchild": (
        "import subprocess\ndef test_x():\n    subprocess.run(['sh', '-c', 'setsid sleep 60 >/dev/null 2>&1 &'])\n",
        "processes:",
    ),
    "a descriptor": ("import os\ndef test_x(tmp_path):\n    os.open(tmp_path / 'f', os.O_CREAT)\n", "descriptors:"),
    "a thread": (
        "import threading\ndef test_x():\n    threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
        "threads:",
    ),
    "a temporary file": ("import tempfile\ndef test_x():\n    tempfile.mkdtemp()\n", "files:"),
    "a task": (
        "import asyncio\nasync def test_x():\n    asyncio.get_running_loop().create_task(asyncio.sleep(60), name='lost')\n",
        "tasks:",
    ),
    "a warning in the log": (
        "import logging\ndef test_x():\n    logging.getLogger('a').warning('oh')\n",
        "log: a WARNING oh",
    ),
}


QUICKLY = "from tests.noise import plugin\n\nplugin.GRACE_SECONDS = 0.2\n"
"""What is left in these tests is left for good: there is no use in waiting for it."""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project whose suite uses the plugin, and no other that takes time to load."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\naddopts = -p pytest_asyncio.plugin -p tests.noise.plugin -p no:cacheprovider\n"
        "markers =\n    noisy\n    leaves\n    proves\n"
    )
    pytester.makeconftest(QUICKLY)
    return pytester


def test_each_noise_fails_the_test_that_made_it(project: pytest.Pytester) -> None:
    project.makepyfile(**{f"test_{number}": code for number, (code, _) in enumerate(NOISES.values())})
    result = project.runpytest_subprocess("-rE")
    result.assert_outcomes(passed=len(NOISES), errors=len(NOISES))
    parts = result.stdout.str().split("ERROR at teardown of test_x")[1:]
    for noise, part in zip(NOISES, parts, strict=True):
        assert NOISES[noise][1] in part, noise


def test_silence_passes_and_so_does_what_is_announced(project: pytest.Pytester) -> None:
    project.makepyfile(
        "import logging, subprocess, pytest\n"
        "@pytest.fixture(scope='module')\n"
        "def server():\n    p = subprocess.Popen(['sleep', '60'])\n    yield p\n    p.kill()\n    p.wait()\n"
        "def test_quiet(server):\n    assert server.poll() is None\n"
        "@pytest.mark.noisy('oh')\n"
        "def test_loud(server):\n    logging.getLogger('a').warning('oh')\n"
    )
    result = project.runpytest_subprocess()
    result.assert_outcomes(passed=2)
