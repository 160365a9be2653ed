"""A real S3 server for tests: SeaweedFS in one process, in a directory of its own, on ports nobody else has."""

import os
import subprocess
import sys
from pathlib import Path

from chronicle.model.errors import StorageError
from chronicle.store.pool import S3Remote, S3Settings
from tests.waiting import free_port, until

ACCESS_KEY, SECRET_KEY = "test-access", "test-secret-of-some-length"
READY_SECONDS = 30.0
PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


class Weed:
    """The server; `start` it, and `stop` it in any case."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ports = {name: free_port() for name in (*PORTS, "admin.port", "admin.port.grpc")}
        self._process: subprocess.Popen[bytes] | None = None

    def settings(self, prefix: str = "", bucket: str = "chronicle") -> S3Settings:
        """How the pool reaches it, with short limits."""
        return S3Settings(
            bucket=bucket,
            prefix=prefix,
            endpoint=f"http://127.0.0.1:{self._ports['s3.port']}",
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            connect_s=2.0,
            request_s=10.0,
            retries=1,
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
                    "-bucket=chronicle",
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
        remote = S3Remote(self.settings("ready/"))
        until(
            lambda: self._process is None or self._process.poll() is not None or _takes(remote),
            READY_SECONDS,
            "the S3 server",
        )
        if self._process is None or self._process.poll() is not None:
            raise TimeoutError("the S3 server ended at once")

    def stop(self) -> None:
        """Ends it; what it stored stays in its directory."""
        if self._process is None:
            return
        self._process.kill()  # asked to end, it takes five seconds to say goodbye to its own parts
        self._process.wait()
        self._process = None


def _takes(remote: S3Remote) -> bool:
    try:
        remote.put_if_absent(bytes(32), b"\x00ready")
    except StorageError:
        return False
    return True
