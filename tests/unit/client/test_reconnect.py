"""What follows each way a stream can end."""

import pytest

from podium.client.errors import problem_of_close
from podium.client.reconnect import Next, after_close, wait_before
from podium.wire.close import CloseCode
from podium.wire.errors import ErrorCode

TABLE = {
    None: Next.LATER,
    CloseCode.NORMAL: Next.LATER,
    CloseCode.TOO_LARGE: Next.END,
    CloseCode.INTERNAL: Next.LATER,
    CloseCode.MOVING: Next.AT_ONCE,
    CloseCode.TRY_LATER: Next.LATER,
    CloseCode.BAD_FRAMES: Next.END,
    CloseCode.UNAUTHENTICATED: Next.END,
    CloseCode.NOT_FOUND: Next.END,
    CloseCode.SLOW_CONSUMER: Next.AT_ONCE,
    CloseCode.STOPPED: Next.END,
    CloseCode.RESUME_GONE: Next.END,
    CloseCode.RATE_LIMITED: Next.LATER,
}


def test_every_close_code_has_a_row() -> None:
    assert set(TABLE) == {None, *CloseCode}


@pytest.mark.proves("CLIENT-CLOSE-CODES")
@pytest.mark.parametrize(("code", "expected"), TABLE.items(), ids=str)
def test_the_client_does_what_the_close_code_says(code: CloseCode | None, expected: Next) -> None:
    assert after_close(code) is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (4401, ErrorCode.UNAUTHENTICATED),
        (4404, ErrorCode.INSTANCE_NOT_FOUND),
        (4409, ErrorCode.INSTANCE_STOPPING),
        (4410, ErrorCode.RESUME_GONE),
        (None, ErrorCode.UNREACHABLE),
        (1006, ErrorCode.UNREACHABLE),
    ],
)
def test_an_end_has_the_code_of_its_reason(code: int | None, expected: ErrorCode) -> None:
    assert problem_of_close(code).code is expected


def test_at_once_means_at_once_only_the_first_time() -> None:
    assert wait_before(1, Next.AT_ONCE, 0.9) == 0.0
    assert wait_before(2, Next.AT_ONCE, 0.9) > 0.0


def test_waits_grow_to_five_seconds() -> None:
    waits = [wait_before(n, Next.LATER, 1.0) for n in range(1, 9)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
