"""What the failures of the parts below mean to a client."""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import UNSET

from diminuendo.domain.access import Refusal
from diminuendo.domain.members import MemberRefusedError
from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.protocol.messages import ClientMessage
from diminuendo.storage.errors import SessionUnknownError, StorageError
from podium.client import PodiumConnectionError
from podium.wire.errors import ErrorCode

_CODES = {
    ErrorCode.MESSAGE_TOO_LARGE: Code.MESSAGE_TOO_LARGE,
    ErrorCode.RATE_LIMITED: Code.RATE_LIMITED,
    ErrorCode.QUOTA_EXCEEDED: Code.RATE_LIMITED,
}


def refused(refusal: Refusal) -> ProtocolError:
    """A refusal as the client hears it."""
    return ProtocolError(Code(refusal.code), refusal.message)


def by_podium(error: PodiumConnectionError) -> ProtocolError:
    """What Podium's answer means: its own limits by their names, what it found wrong with the request as `INVALID_MESSAGE`, and
    everything that may be another time, or is between us and it, as `PODIUM_UNAVAILABLE`."""
    code = _CODES.get(error.code)
    if code is None:
        later = error.retryable or error.status is None or error.status in (401, 403) or error.status >= 500
        code = Code.PODIUM_UNAVAILABLE if later else Code.INVALID_MESSAGE
    wait = None if error.retry_after is None else round(error.retry_after * 1000)
    return ProtocolError(code, sentence(error), retry_after_ms=wait)


def sentence(error: PodiumConnectionError) -> str:
    """What went wrong, for a client: without addresses of ours."""
    if error.code is ErrorCode.UNREACHABLE:
        return "Podium can't be reached now"
    return f"{error.detail} ({error.code.value})"


@contextmanager
def answering(message: ClientMessage) -> Iterator[None]:
    """Gives the message's `requestId` to the errors it is answered by."""
    try:
        yield
    except ProtocolError as error:
        error.request_id = None if message.request_id is UNSET else message.request_id
        raise


@contextmanager
def translated() -> Iterator[None]:
    """Turns the errors of storage, Podium and the domain into `ProtocolError`."""
    try:
        yield
    except SessionUnknownError as error:  # deleted in the meantime
        raise ProtocolError(Code.SESSION_NOT_FOUND, "there is no such session") from error
    except StorageError as error:
        raise ProtocolError(Code.PODIUM_UNAVAILABLE, "what is kept of this can't be read or written now") from error
    except PodiumConnectionError as error:
        raise by_podium(error) from error
    except MemberRefusedError as error:
        raise ProtocolError(Code.FORBIDDEN, str(error)) from error
