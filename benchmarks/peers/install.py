"""Peers are installed from their registry packages into `.tools/peers`, once."""

import shutil
import subprocess
import sys
from pathlib import Path

PLACE = Path(__file__).parents[2] / ".tools" / "peers"
INSTALL_SECONDS = 300.0


class PeerUnavailableError(Exception):
    """The peer can't be installed or started here; the message is the reason that is printed."""


def python_peer(name: str, *requirements: str) -> Path:
    """A virtual environment with the requirements; returns its `bin`."""
    place = PLACE / name
    done = place / ".installed"
    if not done.exists():
        uv = Path(sys.executable).with_name("uv")
        _run([str(uv), "venv", "-q", "--clear", "-p", sys.executable, str(place)])
        _run(
            [str(uv), "pip", "install", "-q", "--compile-bytecode", "-p", str(place / "bin" / "python"), *requirements]
        )
        done.touch()
    return place / "bin"


def npm_peer(name: str, *packages: str) -> Path:
    """A folder with the npm packages; returns its `node_modules/.bin`."""
    place = PLACE / name
    done = place / ".installed"
    if shutil.which("npm") is None:
        raise PeerUnavailableError("npm is not installed")
    if not done.exists():
        place.mkdir(parents=True, exist_ok=True)
        _run(["npm", "install", "--silent", "--prefix", str(place), *packages])
        done.touch()
    return place / "node_modules" / ".bin"


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", b"") or b""
        last = said.decode(errors="replace").strip().splitlines()[-1:] or [str(error)]
        raise PeerUnavailableError(f"{command[0]} failed: {last[0]}") from error
