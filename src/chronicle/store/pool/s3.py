"""The remote tier in S3, or in anything that speaks it: an object is `{prefix}{hash[0:2]}/{hash}`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chronicle.model.errors import StorageError
from chronicle.store.pool.bodies import LARGEST_PAYLOAD

if TYPE_CHECKING:
    from obstore.store import S3Store

CONNECT_S: Final = 5.0
REQUEST_S: Final = 30.0
"""How long, in seconds, connecting and one whole request may take: an object has a MiB, a manifest rarely more."""

RETRIES: Final = 3
RETRY_S: Final = 20.0
"""Further tries of one call, and how long, in seconds, after its beginning a try may still begin. Longer outages are the caller's."""

ETAG: Final = "etag"


class S3Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the remote tier is. `prefix` begins every key, ends with a slash or is empty. `endpoint` None: Amazon's own.

    Without `access_key_id` the credentials are those of the machine or the container (instance profile, web identity).
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    connect_s: float = CONNECT_S
    request_s: float = REQUEST_S
    retries: int = RETRIES

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "S3Settings | None":
        """From `CHRONICLE_S3_BUCKET`, `CHRONICLE_S3_PREFIX` and the usual `AWS_*`; None when no bucket is named.

        `AWS_ENDPOINT_URL_S3` goes before `AWS_ENDPOINT_URL`, `AWS_REGION` before `AWS_DEFAULT_REGION`.
        """
        bucket = environment.get("CHRONICLE_S3_BUCKET", "")
        if not bucket:
            return None
        prefix = environment.get("CHRONICLE_S3_PREFIX", "").strip("/")
        return cls(
            bucket=bucket,
            prefix=f"{prefix}/" if prefix else "",
            endpoint=environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None,
            region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1",
            access_key_id=environment.get("AWS_ACCESS_KEY_ID") or None,
            secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY") or None,
            session_token=environment.get("AWS_SESSION_TOKEN") or None,
        )


class S3Remote:
    """A `Remote` in S3. The client library is loaded when the first of these is made."""

    def __init__(self, settings: S3Settings) -> None:
        import obstore

        self._obstore = obstore
        self._settings = settings
        self._store = _store(settings)

    def key(self, digest: bytes) -> str:
        """The object's key in the bucket."""
        name = digest.hex()
        return f"{self._settings.prefix}{name[:2]}/{name}"

    def get(self, digest: bytes) -> bytes | None:
        """The object's body; None when it isn't there."""
        try:
            result = self._obstore.get(self._store, self.key(digest))
            if result.meta["size"] > LARGEST_PAYLOAD:
                raise StorageError(
                    f"{self.key(digest)} in the bucket {self._settings.bucket} is too large to be an object"
                )
            return result.bytes().to_bytes()
        except FileNotFoundError:
            return None
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._unavailable(error) from error

    def put_if_absent(self, digest: bytes, body: bytes) -> bool:
        """Stores the body unless the key exists; False then."""
        try:
            self._obstore.put(self._store, self.key(digest), body, mode="create", use_multipart=False)
        except self._obstore.exceptions.AlreadyExistsError:
            return False
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._unavailable(error) from error
        return True

    def exists(self, digest: bytes) -> bool:
        """Whether the key exists."""
        try:
            self._obstore.head(self._store, self.key(digest))
        except FileNotFoundError:
            return False
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._unavailable(error) from error
        return True

    def _unavailable(self, error: Exception) -> StorageError:
        reason = str(error).split("\n\n", 1)[0]  # the library appends a dump of its structures
        return StorageError(f"the bucket {self._settings.bucket}: {reason}")


def _store(settings: S3Settings) -> "S3Store":
    from obstore.store import S3Store

    config: dict[str, Any] = {"region": settings.region, "conditional_put": ETAG}
    for name in ("endpoint", "access_key_id", "secret_access_key", "session_token"):
        if (value := getattr(settings, name)) is not None:
            config[name] = value
    plain = settings.endpoint is not None and settings.endpoint.startswith("http:")
    return S3Store(
        settings.bucket,
        **config,
        client_options={
            "allow_http": plain,
            "connect_timeout": timedelta(seconds=settings.connect_s),
            "timeout": timedelta(seconds=settings.request_s),
        },
        retry_config={"max_retries": settings.retries, "retry_timeout": timedelta(seconds=RETRY_S)},
    )
