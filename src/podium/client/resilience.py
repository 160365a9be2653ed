"""Retry and breaker, composed once."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from podium.client.breaker import Breaker
from podium.client.errors import PodiumConnectionError
from podium.client.retry import RetryPolicy
from podium.client.timing import Timing
from podium.wire.errors import ErrorCode, PodiumError

_T = TypeVar("_T")


class CountsAsFailure(Protocol):
    """Whether an error says something about the service rather than about the request."""

    def __call__(self, error: PodiumConnectionError) -> bool:
        """True when the breaker shall count it."""
        ...


def service_failed(error: PodiumConnectionError) -> bool:
    """No answer, or one that blames the server: what may open a circuit. A refused request does not."""
    return error.retryable or error.status is None or error.status >= 500


async def with_retry(policy: RetryPolicy, timing: Timing, call: Callable[[], Awaitable[_T]]) -> _T:
    """Runs `call` until it succeeds, fails for good, or the policy is used up; the last error is raised.

    Cancellation ends it at once, also in the middle of a wait.
    """
    retry = 0
    while True:
        try:
            return await call()
        except PodiumConnectionError as error:
            retry += 1
            delay = policy.delay(retry, timing.chance(), error.retry_after) if error.retryable else None
            if delay is None:
                raise
        await timing.sleep(delay)


class GuardedCalls:
    """Calls that share a circuit."""

    def __init__(self, timing: Timing, counts: CountsAsFailure = service_failed) -> None:
        self._timing = timing
        self._counts = counts
        self.state = Breaker()

    async def call(self, operation: str, call: Callable[[], Awaitable[_T]]) -> _T:
        """Runs `call` unless the circuit is open.

        Raises:
            PodiumConnectionError: what `call` raised; or, at once and without calling, that the circuit is open.
        """
        entered = self.state.entered(self._timing.monotonic())
        if entered is None:
            raise self._refusal(operation)
        self.state = entered
        try:
            result = await call()
        except PodiumConnectionError as error:
            self._count(error)
            raise
        except BaseException:
            # Cancelled, or a fault of ours: says nothing about the service, but a trial must not stay open for ever.
            self.state = self.state.abandoned(self._timing.monotonic())
            raise
        self.state = self.state.succeeded()
        return result

    def _count(self, error: PodiumConnectionError) -> None:
        self.state = self.state.failed(self._timing.monotonic()) if self._counts(error) else self.state.succeeded()

    def _refusal(self, operation: str) -> PodiumConnectionError:
        wait = self.state.remaining(self._timing.monotonic())
        detail = f"Podium failed {self.state.failures} times in a row; not asked again for {wait:.0f} s"
        return PodiumConnectionError(operation, PodiumError(ErrorCode.UNREACHABLE, detail, retry_after=wait))
