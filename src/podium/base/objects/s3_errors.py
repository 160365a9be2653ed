"""What the S3 client's failures mean.

Its messages hold what the server said, and that may hold an access key and what was signed. So nothing of them goes on but
the status and the error code, which is a word.
"""

import re
from typing import Final

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from podium.base.objects.port import ObjectMissingError, ObjectStoreUnavailableError

_STATUS: Final = re.compile(r"status code: (\d{3})\b")
_CODE: Final = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")
_NO_CREDENTIALS: Final = re.compile(r"credential|latest/(?:api/token|meta-data)|169\.254\.", re.IGNORECASE)


_PASSING: Final = ("408", "409", "429")
"""Statuses of the 400s after which the same request may work."""


class _RefusedError(ObjectStoreUnavailableError):
    """Trying again without a change of the configuration is of no use."""


def may_pass(error: ObjectStoreUnavailableError) -> bool:
    """Whether the same request may work a moment later."""
    return not isinstance(error, _RefusedError)


def explained(error: Exception, bucket: str, key: str | None, seconds: float) -> Exception:
    """The port's error for one of the client's. `key` is what may be missing; `seconds` what the wait was limited to."""
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    answer = " ".join(found.group(1) for found in (status, code) if found)
    where = f"the bucket {bucket}"
    if isinstance(error, TimeoutError):
        return ObjectStoreUnavailableError(f"{where}: no answer from S3 within {seconds:g} s")
    if isinstance(error, FileNotFoundError):
        missing = code.group(1) == "NoSuchKey" if code else key is not None
        return ObjectMissingError(key or "") if missing else _RefusedError(f"{where}: there is no such bucket")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or (
        status and status.group(1) in ("401", "403")
    ):
        return _RefusedError(
            f"{where}: S3 refuses access ({answer or 'denied'}); check the credentials and their rights"
        )
    if status is not None and status.group(1) in ("301", "307", "308"):
        return _RefusedError(f"{where}: S3 answers {answer}; check AWS_REGION and AWS_ENDPOINT_URL")
    if status is not None:
        refused = status.group(1).startswith("4") and status.group(1) not in _PASSING
        return (_RefusedError if refused else ObjectStoreUnavailableError)(f"{where}: S3 answers {answer}")
    if _NO_CREDENTIALS.search(text):
        return ObjectStoreUnavailableError(
            f"{where}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the host a role"
        )
    return ObjectStoreUnavailableError(f"{where}: S3 can't be reached")
