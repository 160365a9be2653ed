"""The S3 server of the tests as the pool reaches it."""

from pathlib import Path

from chronicle.store.pool import S3Settings
from tests.contract.s3_server import ACCESS_KEY, SECRET_KEY, S3Server

__all__ = ["ACCESS_KEY", "SECRET_KEY", "Weed"]


class Weed(S3Server):
    """The server; `start` it, and `stop` it in any case."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "chronicle")

    def settings(self, prefix: str = "") -> S3Settings:
        """How the pool reaches it, with short limits."""
        return S3Settings(
            bucket=self.bucket,
            prefix=prefix,
            endpoint=self.endpoint,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            connect_s=2.0,
            request_s=10.0,
            retries=1,
        )
