"""Where pages of files and differences end, as text that a client gives back."""

import base64
import binascii
from typing import NamedTuple

from podium.wire.errors import ErrorCode, PodiumError


class ListingCursor(NamedTuple):
    """The moment a listing is of, and the path its last page ended with."""

    moment: int
    after: bytes

    def encoded(self) -> str:
        """As text."""
        return f"{self.moment}.{base64.urlsafe_b64encode(self.after).decode()}"


class DiffCursor(NamedTuple):
    """The two moments of a comparison, and the path earlier pages came to."""

    before: int
    after: int
    behind: bytes

    def encoded(self) -> str:
        """As text."""
        return f"{self.before}.{self.after}.{base64.urlsafe_b64encode(self.behind).decode()}"


def listing_cursor(text: str) -> ListingCursor:
    """The cursor in a request.

    Raises:
        PodiumError: `invalid_request`: no cursor of ours.
    """
    moment, _, after = text.partition(".")
    try:
        return ListingCursor(_number(moment), base64.b64decode(after, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error) as error:
        raise _foreign() from error


def diff_cursor(text: str) -> DiffCursor:
    """The cursor in a request.

    Raises:
        PodiumError: `invalid_request`: no cursor of ours.
    """
    try:
        before, after, behind = text.split(".")
        return DiffCursor(_number(before), _number(after), base64.b64decode(behind, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error) as error:
        raise _foreign() from error


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 17):
        raise ValueError(text)
    return int(text)


def _foreign() -> PodiumError:
    return PodiumError(ErrorCode.INVALID_REQUEST, "cursor is not one this list gave")
