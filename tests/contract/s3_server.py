"""A real S3 server for tests: SeaweedFS in one process, in a directory of its own, on ports nobody else has.

Its traps: it lists a directory `a` before `a-b`, where S3 goes by bytes; it takes a backslash in a key for a slash; it
makes a bucket that is missing when something is put into it; and it phones home unless told not to.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
import obstore
from obstore.store import S3Store

from podium.base.config import Secret
from podium.base.objects.s3_settings import S3Limits, S3Settings
from tests.waiting import free_port, until

ACCESS_KEY: Final = "test-access"
SECRET_KEY: Final = "test-secret-of-some-length"
READY_SECONDS: Final = 30.0
BUCKET: Final = "podium"
PORTS: Final = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


class S3Server:
    """The server; `start` it, and `stop` it in any case. What it stored outlives both."""

    def __init__(self, directory: Path, bucket: str = BUCKET) -> None:
        self.bucket = bucket
        self._directory = directory
        self._ports = {name: free_port() for name in PORTS}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where it serves S3."""
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    @property
    def port(self) -> int:
        """The port it serves S3 at."""
        return self._ports["s3.port"]

    def environment(self) -> dict[str, str]:
        """What a daemon must be given to use it."""
        return {
            "S3_BUCKET": self.bucket,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def client(self) -> S3Store:
        """A plain client of the bucket, to look and to spoil."""
        return S3Store(
            self.bucket,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            client_options={"allow_http": True, "timeout": timedelta(seconds=10)},
            retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=10)},
        )

    def start(self) -> None:
        """Returns when it serves."""
        logs = self._directory.with_name(f"{self._directory.name}-logs")
        for directory in (self._directory, logs):
            directory.mkdir(exist_ok=True)
        with open(logs / "output", "ab") as log:
            self._process = subprocess.Popen(
                [
                    Path(sys.executable).with_name("weed"),
                    "mini",
                    f"-dir={self._directory}",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    "-webdav=false",
                    "-admin.ui=false",
                    "-master.telemetry=false",
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                    f"-bucket={self.bucket}",
                    *(f"-{name}={port}" for name, port in self._ports.items()),
                ],
                env={
                    **os.environ,
                    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                    "TMPDIR": str(logs),
                },
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        process, client = self._process, self.client()
        until(lambda: process.poll() is not None or _takes(client), READY_SECONDS, "the S3 server")
        if process.poll() is not None:
            raise TimeoutError("the S3 server ended at once")

    def stop(self) -> None:
        """Kills it: asked to end, it takes five seconds to say goodbye to its own parts."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """It answers nothing, and its connections stay. Returns when all its threads stand still."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            tasks = Path(f"/proc/{self._process.pid}/task")
            until(lambda: all(_stands_still(task) for task in tasks.iterdir()), 5, "the S3 server to stand still")

    def resume(self) -> None:
        """It goes on after `pause`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def s3_settings(
    server: S3Server, prefix: str = "", secret: str = SECRET_KEY, limits: Mapping[str, float] | None = None
) -> S3Settings:
    """How the platform's object store reaches the server, with `limits` of `S3Limits` instead of the usual."""
    made = settings_at(f"{server.endpoint} {server.bucket} {prefix}")
    secrets = {"secret_access_key": Secret(secret), "limits": msgspec.convert(limits or {}, S3Limits)}
    return msgspec.structs.replace(made, **secrets)


def settings_at(where: str) -> S3Settings:
    """How a server is reached, from `endpoint bucket prefix`: what one process of a test tells another."""
    endpoint, bucket, prefix = where.split(" ")
    return S3Settings(
        bucket=bucket,
        prefix=prefix,
        endpoint=endpoint,
        access_key_id=Secret(ACCESS_KEY),
        secret_access_key=Secret(SECRET_KEY),
    )


def _stands_still(task: Path) -> bool:
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return True


def _takes(client: S3Store) -> bool:
    try:
        obstore.put(client, "ready", b"ready")
    except (obstore.exceptions.BaseError, OSError):
        return False
    return True


@contextmanager
def serving(directory: Path) -> Iterator[S3Server]:
    """A server that is there for the length of a `with`."""
    running = S3Server(directory)
    try:
        running.start()
        yield running
    finally:
        running.stop()
