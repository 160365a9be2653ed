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


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project whose suite uses the plugin."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\naddopts = -p tests.noise.plugin -p no:cacheprovider\n"
        "markers =\n    noisy\n    leaves\n    proves\n"
    )
    return pytester


@pytest.mark.parametrize("noise", NOISES)
def test_noise_fails_the_test_that_made_it(project: pytest.Pytester, noise: str) -> None:
    code, said = NOISES[noise]
    project.makepyfile(code)
    result = project.runpytest_subprocess("-p", "no:randomly")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*{said}*"])


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
