"""A package that runs a script while it is installed, and writes down what it could do; for each language.

The script is the same: a build backend of Python runs it, and a `postinstall` of npm.
"""

import json
from pathlib import Path
from typing import Any

from tests.agents import Runtime

SPY = """
import json
import os
import subprocess
from pathlib import Path


def can(act):
    try:
        act()
    except OSError:
        return False
    return True


def write(folder):
    path = Path(folder) / "spy-was-here"
    path.write_text("x")
    path.unlink()


def look(order):
    sleeper = subprocess.Popen(["sleep", order["sleep"]], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
    return {
        "uid": os.getuid(),
        "sleeper": sleeper.pid,
        "read": [path for path in order["paths"] if can(lambda: open(path, "rb").read(1))],
        "written": [folder for folder in order["folders"] if can(lambda: write(folder))],
        "told": [name for name in os.environ if "KEY" in name or "SECRET" in name],
    }


def found():
    return look(json.loads((Path(__file__).parent / "order.json").read_text()))
"""

BACKEND = """
import json
import zipfile

from script import found


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "spy-1.0.0-py3-none-any.whl"
    files = {
        "spy.py": f"import json\\nFOUND = json.loads({json.dumps(found())!r})\\n",
        "spy-1.0.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: spy\\nVersion: 1.0.0\\n",
        "spy-1.0.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: spy\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = "spy-1.0.0.dist-info/RECORD"
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(record, "".join(f"{path},,\\n" for path in [*files, record]))
    return name
"""

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "spy"
version = "1.0.0"
"""

POSTINSTALL = (
    "python3 -c 'import json, script;"
    ' open("index.js", "w").write("module.exports.FOUND = " + json.dumps(script.found()))\''
)


def bundle_with_spy(folder: Path, runtime: Runtime, order: dict[str, Any], *, trusted: bool = True) -> None:
    """Puts the package, and what declares it, beside the agent. `trusted`: the agent lets its script run (npm asks)."""
    spy = folder / "spy"
    spy.mkdir(parents=True)
    (spy / "script.py").write_text(SPY)
    (spy / "order.json").write_text(json.dumps(order))
    if runtime == "python":
        (spy / "backend.py").write_text(BACKEND)
        (spy / "pyproject.toml").write_text(PROJECT)
        (folder / "requirements.txt").write_text("./spy\n")
        return
    (spy / "index.js").write_text('module.exports.FOUND = "nothing was run";')
    scripts = {"postinstall": POSTINSTALL}
    (spy / "package.json").write_text(
        json.dumps({"name": "spy", "version": "1.0.0", "main": "index.js", "scripts": scripts})
    )
    declared = {"dependencies": {"spy": "file:./spy"}, **({"trustedDependencies": ["spy"]} if trusted else {})}
    (folder / "package.json").write_text(json.dumps(declared))
