"""Several users of one mount: owners, permissions, set-uid bits, as Linux has them."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.chronicle.mount.serving import Serving
from tests.waiting import until

Serve = Callable[..., Serving]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as others"),
    pytest.mark.proves("CHR-POSIX"),
]

USER, GROUP = 12345, 23456


def _as_user(code: str, place: Path, *, groups: tuple[int, ...] = ()) -> str:
    """What a Python program prints that another user runs in `place`."""
    become = f"import os, stat; os.setgroups({list(groups)}); os.setgid({GROUP}); os.setuid({USER}); os.umask(0o022)\n"
    result = subprocess.run([sys.executable, "-c", become + code], cwd=place, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture
def shared(serve: Serve, tmp_path: Path) -> Path:
    serving = serve(allow_other=True)
    for directory in (tmp_path, *tmp_path.parents, serving.mountpoint.parent):
        if str(directory).startswith("/tmp/"):
            directory.chmod(directory.stat().st_mode | 0o055)
    serving.mountpoint.chmod(0o777)
    return serving.mountpoint


@pytest.fixture
def shared_without_passthrough(serve: Serve, tmp_path: Path) -> Path:
    serving = serve(allow_other=True, passthrough=False)
    for directory in (tmp_path, *tmp_path.parents, serving.mountpoint.parent):
        if str(directory).startswith("/tmp/"):
            directory.chmod(directory.stat().st_mode | 0o055)
    serving.mountpoint.chmod(0o777)
    return serving.mountpoint


def test_everything_new_belongs_to_who_made_it(shared: Path) -> None:
    _as_user(
        "os.mkdir('d'); open('f', 'w').close(); os.symlink('x', 's'); os.mkfifo('p')\n"
        "fd = os.open('.', os.O_TMPFILE | os.O_RDWR); os.link(f'/proc/self/fd/{fd}', 't', src_dir_fd=fd)",
        shared,
    )
    for name in ("d", "f", "s", "p", "t"):
        seen = os.lstat(shared / name)
        assert (name, seen.st_uid, seen.st_gid) == (name, USER, GROUP)
    assert stat.S_IMODE((shared / "f").stat().st_mode) == 0o644, "the caller's umask counts, once"
    assert stat.S_IMODE((shared / "d").stat().st_mode) == 0o755


def test_in_a_set_gid_directory_the_group_is_the_directorys(shared: Path) -> None:
    (shared / "team").mkdir()
    os.chown(shared / "team", 0, 777)
    (shared / "team").chmod(0o2777)
    _as_user("open('team/f', 'w').close(); os.mkdir('team/d')", shared)
    assert ((shared / "team/f").stat().st_uid, (shared / "team/f").stat().st_gid) == (USER, 777)
    directory = (shared / "team/d").stat()
    assert (directory.st_gid, stat.S_IMODE(directory.st_mode)) == (777, 0o2755)


def test_others_files_are_closed_to_a_user(shared: Path) -> None:
    (shared / "secret").write_text("x")
    (shared / "secret").chmod(0o600)
    (shared / "closed").mkdir(mode=0o700)
    refused = _as_user(
        "import json\nrefused = []\n"
        "for attempt in (lambda: open('secret'), lambda: os.listdir('closed'), lambda: os.chmod('secret', 0o666),\n"
        "                lambda: os.chown('secret', 12345, 23456)):\n"
        "    try: attempt()\n    except PermissionError: refused.append(True)\n"
        "print(json.dumps([refused, os.access('secret', os.R_OK)]))",
        shared,
    )
    assert json.loads(refused) == [[True] * 4, False]


def test_the_sticky_bit_keeps_names(shared: Path) -> None:
    (shared / "sticky").mkdir()
    (shared / "sticky").chmod(0o1777)
    (shared / "sticky/f").touch()
    assert _as_user("try: os.unlink('sticky/f')\nexcept PermissionError: print('refused')", shared) == "refused"


@pytest.mark.parametrize("how", ["shared", "shared_without_passthrough"])
def test_a_write_takes_set_uid_bits_away(how: str, request: pytest.FixtureRequest) -> None:
    place: Path = request.getfixturevalue(how)
    modes = _as_user(
        "modes = []\n"
        "def fresh():\n    open('f', 'w').close(); os.chmod('f', 0o6777)\n"
        "def mode(): return oct(stat.S_IMODE(os.stat('f').st_mode))\n"
        "fresh(); modes.append(mode())\n"
        "with open('f', 'r+b', buffering=0) as f: f.write(b'x')\n"
        "modes.append(mode()); fresh(); os.truncate('f', 10); modes.append(mode())\n"
        "fresh(); open('f', 'w').close(); modes.append(mode())\n"
        "fresh(); os.chown('f', -1, 23456); modes.append(mode())\n"
        "print(*modes)",
        place,
    ).split()
    assert modes[0] == "0o6777"
    assert modes[1:] == ["0o777"] * 4, "after a write, a truncation, an opening that truncates, a change of owner"


def test_set_uid_bits_at_creation_stay(shared: Path) -> None:
    _as_user("os.umask(0); os.close(os.open('f', os.O_CREAT | os.O_WRONLY, 0o4755))", shared)
    assert stat.S_IMODE((shared / "f").stat().st_mode) == 0o4755


@pytest.mark.proves("CHR-FALLBACK")
def test_an_ordinary_users_process_serves_without_passthrough(serve: Serve, tmp_path: Path) -> None:
    first = serve()
    first.stop()
    for directory in (*tmp_path.parents, *tmp_path.rglob("*"), tmp_path):
        if str(directory).startswith("/tmp/"):
            directory.chmod(directory.stat().st_mode | 0o055)
    for path in (first.layout.root, *first.layout.root.rglob("*")):
        os.chown(path, USER, USER)
    second = Serving(first.layout.root, first.mountpoint, {"become": USER})
    try:
        (second.mountpoint / "f").write_text("content")
        assert (second.mountpoint / "f").stat().st_uid == USER
        (second.mountpoint / "f").chmod(0o400)
        assert (second.mountpoint / "f").read_text() == "content"
        (second.mountpoint / "d").mkdir()
        (second.mountpoint / "f").rename(second.mountpoint / "d/g")
        assert os.listdir(second.mountpoint / "d") == ["g"]
        with pytest.raises(PermissionError):
            os.chown(second.mountpoint / "d", 0, 0)
        until(lambda: second.told(do="wrote", path="f", content="content"))
    finally:
        assert second.stop() == ""
