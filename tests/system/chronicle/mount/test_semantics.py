"""What programs do with files works on the mount as on any file system, with passthrough and without."""

import ctypes
import errno
import fcntl
import mmap
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.system.chronicle.mount.serving import served
from tests.waiting import until

_libc = ctypes.CDLL(None, use_errno=True)
pytestmark = pytest.mark.proves("CHR-POSIX", "CHR-FALLBACK")


@pytest.fixture(scope="module", params=[True, False], ids=["passthrough", "read-and-write"])
def mountpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with served(tmp_path_factory.mktemp("mounted"), passthrough=request.param) as serving:
        yield serving.mountpoint


@pytest.fixture
def here(mountpoint: Path, request: pytest.FixtureRequest) -> Path:
    place = mountpoint / str(request.node.originalname)
    place.mkdir()
    return place


def _elsewhere(code: str, place: Path) -> str:
    """What a Python program prints that runs in `place`."""
    result = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def test_a_database_in_wal_mode_is_used_by_two_connections_and_two_processes(here: Path) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(closing(sqlite3.connect(here / "w.db", isolation_level=None)))
        assert one.execute("pragma journal_mode=wal").fetchone() == ("wal",)
        one.execute("create table t(a integer primary key, b blob)")
        two = stack.enter_context(closing(sqlite3.connect(here / "w.db", isolation_level=None)))
        for _ in range(100):
            one.execute("insert into t(b) values(?)", (os.urandom(200),))
        assert two.execute("select count(*) from t").fetchone() == (100,)
        insert = "import sqlite3; d = sqlite3.connect('w.db'); d.execute('insert into t(b) values(1)'); d.commit(); d.close()"
        _elsewhere(insert, here)
        assert one.execute("pragma integrity_check").fetchone() == ("ok",)
        assert two.execute("select count(*) from t").fetchone() == (101,)


def test_the_log_of_a_database_goes_when_it_is_closed(here: Path) -> None:
    with closing(sqlite3.connect(here / "w.db", isolation_level=None)) as db:
        db.execute("pragma journal_mode=wal")
        db.execute("create table t(a)")
        assert (here / "w.db-wal").exists()
        db.execute("pragma wal_checkpoint(truncate)")
        db.execute("vacuum")
    assert [entry.name for entry in here.iterdir()] == ["w.db"]


def test_a_database_is_read_through_a_mapping(here: Path) -> None:
    with closing(sqlite3.connect(here / "m.db")) as db:
        db.execute("create table t(a)")
        db.executemany("insert into t values(?)", [(n,) for n in range(1000)])
        db.commit()
    with closing(sqlite3.connect(here / "m.db")) as db:
        db.execute("pragma mmap_size=10000000")
        assert db.execute("select sum(a) from t").fetchone() == (499500,)


def test_a_database_with_a_rollback_journal_works(here: Path) -> None:
    with closing(sqlite3.connect(here / "r.db", isolation_level=None)) as db:
        db.execute("create table t(a)")
        for n in range(10):
            db.execute("insert into t values(?)", (n,))
        assert db.execute("select count(*) from t").fetchone() == (10,)


def test_flock_keeps_other_processes_out(here: Path) -> None:
    attempt = (
        "import fcntl\nf = open('l', 'w')\n"
        "try: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB); print('got')\nexcept BlockingIOError: print('blocked')"
    )
    with open(here / "l", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert _elsewhere(attempt, here) == "blocked"
        fcntl.flock(file, fcntl.LOCK_UN)
        assert _elsewhere(attempt, here) == "got"


def test_ranges_are_locked_apart(here: Path) -> None:
    attempt = (
        "import fcntl\nf = open('l', 'r+')\ndef lock(at):\n"
        " try: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at); return 'got'\n except OSError: return 'blocked'\n"
        "print(lock(7), lock(50))"
    )
    with open(here / "l", "w") as file:
        file.write("x" * 100)
        file.flush()
        fcntl.lockf(file, fcntl.LOCK_EX, 10, 5)
        assert _elsewhere(attempt, here) == "blocked got"


def test_a_shared_mapping_and_reads_and_writes_see_each_other(here: Path) -> None:
    with open(here / "m", "w+b") as file:
        file.truncate(65536)
        with mmap.mmap(file.fileno(), 65536) as mapping:
            mapping[100:105] = b"hello"
            mapping.flush()
            assert os.pread(file.fileno(), 5, 100) == b"hello"
            os.pwrite(file.fileno(), b"world", 200)
            assert mapping[200:205] == b"world"


def test_two_processes_share_a_mapping(here: Path) -> None:
    with open(here / "m", "w+b") as file:
        file.truncate(4096)
        with mmap.mmap(file.fileno(), 4096) as mapping:
            _elsewhere("import mmap\nf = open('m', 'r+b')\nm = mmap.mmap(f.fileno(), 4096)\nm[0:3] = b'abc'", here)
            assert mapping[0:3] == b"abc"


def test_what_was_written_through_a_mapping_is_there_after_the_close(here: Path) -> None:
    with open(here / "m", "w+b") as file:
        file.truncate(10)
        with mmap.mmap(file.fileno(), 10) as mapping:
            mapping[0:10] = b"0123456789"
    assert (here / "m").read_bytes() == b"0123456789"


def test_an_unlinked_open_file_lives_on(here: Path) -> None:
    with open(here / "u", "w+") as file:
        file.write("x")
        file.flush()
        os.unlink(here / "u")
        file.write("y")
        file.flush()
        file.seek(0)
        assert file.read() == "xy"
        seen = os.fstat(file.fileno())
        assert (seen.st_size, seen.st_nlink) == (2, 0)
    assert list(here.iterdir()) == []


def test_appends_of_three_descriptors_follow_each_other(here: Path) -> None:
    with ExitStack() as stack:
        files = [stack.enter_context(open(here / "a", "ab", buffering=0)) for _ in range(3)]
        for n in range(30):
            files[n % 3].write(b"%03d" % n)
    assert (here / "a").read_bytes() == b"".join(b"%03d" % n for n in range(30))


def test_appends_of_three_processes_lose_nothing(here: Path) -> None:
    append = (
        "import os\nf = os.open('a', os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n"
        "for n in range(300): os.write(f, b'0123456789')"
    )
    processes = [subprocess.Popen([sys.executable, "-c", append], cwd=here) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert (here / "a").stat().st_size == 9000


def test_hard_links_are_one_file_until_the_last_goes(here: Path) -> None:
    (here / "one").write_text("a")
    os.link(here / "one", here / "two")
    assert (here / "one").stat().st_nlink == 2
    assert (here / "one").stat().st_ino == (here / "two").stat().st_ino
    (here / "two").write_text("bb")
    assert (here / "one").read_text() == "bb"
    os.unlink(here / "one")
    assert (here / "two").read_text() == "bb"
    assert (here / "two").stat().st_nlink == 1


def test_renamed_directories_take_what_is_in_them_along(here: Path) -> None:
    (here / "a/b/c").mkdir(parents=True)
    (here / "a/b/c/f").write_text("1")
    (here / "a").rename(here / "z")
    assert (here / "z/b/c/f").read_text() == "1"
    (here / "other").mkdir()
    (here / "z/b").rename(here / "other/x")
    assert (here / "other/x/c/f").read_text() == "1"
    assert not (here / "a").exists()


def test_a_file_is_renamed_while_it_is_open(here: Path) -> None:
    (here / "one").write_text("1")
    with open(here / "one", "r+") as file:
        (here / "one").rename(here / "two")
        file.write("22")
    assert (here / "two").read_text() == "22"


def test_names_are_exchanged_and_not_replaced_on_request(here: Path) -> None:
    (here / "one").write_text("1")
    (here / "two").write_text("2")
    one, two = bytes(here / "one"), bytes(here / "two")
    assert _libc.renameat2(-100, one, -100, two, 2) == 0
    assert (here / "one").read_text() == "2"
    assert (here / "two").read_text() == "1"
    assert _libc.renameat2(-100, one, -100, two, 1) == -1
    assert ctypes.get_errno() == errno.EEXIST


def test_directories_are_exchanged_with_all_below(here: Path) -> None:
    for name in ("one", "two"):
        (here / name / "deep").mkdir(parents=True)
        (here / name / "deep/file").write_text(name)
    assert _libc.renameat2(-100, bytes(here / "one"), -100, bytes(here / "two"), 2) == 0
    assert (here / "one/deep/file").read_text() == "two"
    assert (here / "two/deep/file").read_text() == "one"


def test_extended_attributes_are_kept_and_chronicles_own_are_hidden(here: Path) -> None:
    (here / "f").touch()
    os.setxattr(here / "f", "user.a", b"1")
    assert os.getxattr(here / "f", "user.a") == b"1"
    assert os.listxattr(here / "f") == ["user.a"]
    with pytest.raises(PermissionError):
        os.setxattr(here / "f", "user.chronicle.hollow", b"")
    with pytest.raises(OSError) as missing:
        os.getxattr(here / "f", "user.chronicle.hollow")
    assert missing.value.errno == errno.ENODATA
    os.removexattr(here / "f", "user.a")
    assert os.listxattr(here / "f") == []


def test_a_file_without_a_name_gets_one(here: Path) -> None:
    fd = os.open(here, os.O_TMPFILE | os.O_RDWR, 0o640)
    try:
        os.write(fd, b"content")
        assert list(here.iterdir()) == []
        os.link(f"/proc/self/fd/{fd}", here / "named", src_dir_fd=fd)  # with a descriptor, Python follows the link
    finally:
        os.close(fd)
    assert (here / "named").read_bytes() == b"content"


def test_an_exclusive_create_happens_once(here: Path) -> None:
    os.close(os.open(here / "f", os.O_CREAT | os.O_EXCL))
    with pytest.raises(FileExistsError):
        os.open(here / "f", os.O_CREAT | os.O_EXCL)


def test_room_is_allocated_and_holes_are_punched(here: Path) -> None:
    with open(here / "f", "w+b") as file:
        os.posix_fallocate(file.fileno(), 0, 100_000)
        assert os.fstat(file.fileno()).st_size == 100_000
        os.pwrite(file.fileno(), b"x" * 100_000, 0)
        assert _libc.fallocate(file.fileno(), 3, ctypes.c_long(0), ctypes.c_long(4096)) == 0
        assert os.pread(file.fileno(), 4097, 0) == bytes(4096) + b"x"


def test_a_range_is_copied_by_the_kernel(here: Path) -> None:
    (here / "one").write_bytes(b"z" * 100_000)
    with open(here / "one", "rb") as one, open(here / "two", "wb") as two:
        assert os.copy_file_range(one.fileno(), two.fileno(), 100_000) == 100_000
    assert (here / "two").read_bytes() == b"z" * 100_000


def test_holes_are_found(here: Path) -> None:
    with open(here / "f", "w+b") as file:
        file.truncate(10 << 20)
        os.pwrite(file.fileno(), b"x", 5 << 20)
        file.flush()
        assert os.lseek(file.fileno(), 0, os.SEEK_DATA) == 5 << 20
        assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == 0
        assert os.fstat(file.fileno()).st_blocks < 100


def test_direct_io_works(here: Path) -> None:
    fd = os.open(here / "f", os.O_CREAT | os.O_RDWR | os.O_DIRECT)
    with mmap.mmap(-1, 4096) as page:
        page.write(b"q" * 4096)
        os.write(fd, page)
        os.close(fd)
    assert (here / "f").read_bytes() == b"q" * 4096


def test_a_fifo_connects_two_threads(here: Path) -> None:
    os.mkfifo(here / "f")
    writer = threading.Thread(target=lambda: (here / "f").write_text("through"))
    writer.start()
    assert (here / "f").read_text() == "through"
    writer.join()
    assert stat.S_ISFIFO((here / "f").stat().st_mode)


def test_a_socket_is_bound_and_reached(here: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(here / "s"))
        server.listen()
        client.connect(str(here / "s"))


def test_scripts_and_programs_are_executed(here: Path) -> None:
    (here / "x.sh").write_text("#!/bin/sh\necho hi\n")
    (here / "x.sh").chmod(0o755)
    assert subprocess.run([here / "x.sh"], capture_output=True, text=True, check=True).stdout == "hi\n"
    subprocess.run(["cp", "/bin/true", here / "true"], check=True)
    subprocess.run([here / "true"], check=True)


def test_times_are_set_to_the_nanosecond_and_before_1970(here: Path) -> None:
    (here / "f").touch()
    os.utime(here / "f", ns=(1, 2))
    seen = (here / "f").stat()
    assert (seen.st_atime_ns, seen.st_mtime_ns) == (1, 2)
    os.utime(here / "f", ns=(-1_500_000_000, -1))
    seen = (here / "f").stat()
    assert (seen.st_atime_ns, seen.st_mtime_ns) == (-1_500_000_000, -1)


def test_size_and_time_follow_writes_while_a_file_is_open(here: Path) -> None:
    with open(here / "f", "wb", buffering=0) as file:
        file.write(b"a")
        before = (here / "f").stat().st_mtime_ns
        until(lambda: file.write(b"b") and (here / "f").stat().st_mtime_ns > before)
        seen = (here / "f").stat()
        assert seen.st_size == os.fstat(file.fileno()).st_size
    assert (here / "f").stat().st_mtime_ns == seen.st_mtime_ns


def test_any_bytes_are_a_name(here: Path) -> None:
    names = {b"\xff\xfe", "ünï".encode(), b"a" * 255, b"new\nline", b"\x01"}
    for name in names:
        with open(bytes(here) + b"/" + name, "w"):
            pass
    assert set(os.listdir(bytes(here))) == names
    with pytest.raises(OSError) as long:
        os.mkdir(bytes(here) + b"/" + b"a" * 256)
    assert long.value.errno == errno.ENAMETOOLONG


def test_a_large_directory_is_listed_and_emptied_while_it_is_listed(here: Path) -> None:
    for n in range(1500):
        (here / str(n)).touch()
    assert len(os.listdir(here)) == 1500
    with os.scandir(here) as entries:
        for entry in entries:
            os.unlink(entry.path)
    assert os.listdir(here) == []


def test_a_listing_shows_what_stays_once_while_others_come_and_go(here: Path) -> None:
    for n in range(1000):
        (here / f"stays-{n}").touch()
    seen = []
    with os.scandir(here) as entries:
        for n, entry in enumerate(entries):
            seen.append(entry.name)
            (here / f"comes-{n}").touch()
            if n % 2:
                (here / f"comes-{n - 1}").unlink()
            if n > 3000:
                break
    stayed = [name for name in seen if name.startswith("stays")]
    assert len(stayed) == len(set(stayed)) == 1000


def test_watchers_hear_of_changes(here: Path) -> None:
    watch = _libc.inotify_init1(os.O_NONBLOCK)
    try:
        assert _libc.inotify_add_watch(watch, bytes(here), 0x8 | 0x100 | 0x2) > 0
        (here / "f").write_text("1")
        assert len(os.read(watch, 4096)) > 16
    finally:
        os.close(watch)


def test_leases_are_given(here: Path) -> None:
    (here / "f").touch()
    fd = os.open(here / "f", os.O_RDONLY)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    os.close(fd)


def test_paths_of_four_thousand_bytes_and_deeper_trees_work(here: Path) -> None:
    name = "d" * 200
    before = os.open(".", os.O_PATH)
    try:
        os.chdir(here)
        for _ in range(30):  # 6,000 bytes deep
            os.mkdir(name)
            os.chdir(name)
        Path("file").write_text("deep")
        os.rename("file", "renamed")
        os.setxattr("renamed", "user.a", b"1")
        assert Path("renamed").read_text() == "deep"
        assert os.listdir(".") == ["renamed"]
    finally:
        os.fchdir(before)
        os.close(before)
    longest = str(here)
    while len(longest) + len(name) + 1 < 4000:
        longest += "/" + name
    longest += "/" + "f" * (4095 - len(longest) - 1)
    Path(longest).write_text("longest")
    assert Path(longest).read_text() == "longest"
    (here / name).rename(here / "moved")
    assert Path(str(here / "moved") + longest.removeprefix(str(here / name))).read_text() == "longest"
    subprocess.run(["rm", "-rf", here / "moved"], check=True)


def test_chronicles_own_name_can_not_be_made(mountpoint: Path) -> None:
    with pytest.raises(PermissionError):
        (mountpoint / ".chronicle").mkdir()
    with pytest.raises(PermissionError):
        (mountpoint / ".chronicle").write_text("")
