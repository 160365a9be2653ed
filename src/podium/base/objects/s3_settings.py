"""Where the bucket is, who we are to it, and how long is waited for it."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from obstore.store import S3Store

from podium.base.config import Secret

if TYPE_CHECKING:
    from obstore.store import ClientConfig


class S3Limits(msgspec.Struct, frozen=True):
    """How long, in seconds, things may take.

    `connect_s` to connect; `request_s` one request that carries no object; `operation_s` one with its repetitions;
    `check_s` to see whether the store can be used; `stall_s` the next piece of an object being read. What carries an object
    may take `operation_s` and the time its bytes need at `slowest_bytes_s` a second. `retries`: repetitions of what is
    safe to repeat, twice as many of what carries an object; none begins later than `retry_s` after the first try.
    """

    connect_s: float = 3.0
    request_s: float = 8.0
    operation_s: float = 20.0
    check_s: float = 3.0
    stall_s: float = 30.0
    retry_s: float = 10.0
    retries: int = 6
    slowest_bytes_s: int = 512 * 1024

    def transfer_s(self, size: int) -> float:
        """How long sending `size` bytes may take."""
        return self.operation_s + size / self.slowest_bytes_s


class S3Settings(msgspec.Struct, frozen=True):
    """A bucket and the keys below `prefix` in it (no slash at its ends). `endpoint` None: Amazon's own; else it is addressed
    by path (`{endpoint}/{bucket}/{key}`).

    Without `access_key_id` the credentials are those of the container, the web identity or the machine.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    limits: S3Limits = S3Limits()


def connect(settings: S3Settings, request_s: float, read_s: float | None = None) -> S3Store:
    """A client whose single requests may take `request_s` seconds, and, with `read_s`, may bring nothing for that long.
    Connects when it is first used."""
    limits = settings.limits
    config: dict[str, Any] = {"region": settings.region, "conditional_put": "etag"}
    if settings.endpoint is not None:
        config |= {"endpoint": settings.endpoint, "virtual_hosted_style_request": False}
    for name in ("access_key_id", "secret_access_key", "session_token"):
        value: Secret | None = getattr(settings, name)
        if value is not None:
            config[name] = value.reveal()
    options: ClientConfig = {
        "allow_http": settings.endpoint is not None and settings.endpoint.startswith("http:"),
        "connect_timeout": timedelta(seconds=limits.connect_s),
        "timeout": timedelta(seconds=request_s),
    }
    if read_s is not None:
        options["read_timeout"] = timedelta(seconds=read_s)
    return S3Store(
        settings.bucket,
        prefix=settings.prefix or None,
        **config,
        client_options=options,
        retry_config={
            "max_retries": limits.retries if request_s <= limits.request_s else 2 * limits.retries,
            "retry_timeout": timedelta(seconds=limits.retry_s),
            "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2},
        },
    )
