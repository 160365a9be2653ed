"""One call for everybody who asks for the same thing at the same time."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class _Flight(Generic[Result]):
    def __init__(self) -> None:
        self.landed = threading.Event()
        self.result: list[Result] = []
        self.error: BaseException | None = None


class Flights(Generic[Result]):
    """Calls under way, by key. The first to ask makes the call, the others get its result or its error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, _Flight[Result]] = {}

    def join(self, key: Hashable, call: Callable[[], Result]) -> Result:
        """The result of `call`, which one thread makes for all that ask before it returns; bounded if the call is."""
        with self._lock:
            flight = self._under_way.get(key)
            leads = flight is None
            if flight is None:
                flight = self._under_way[key] = _Flight()
        if leads:
            try:
                flight.result.append(call())
            except BaseException as error:
                flight.error = error
                raise
            finally:
                with self._lock:
                    del self._under_way[key]
                flight.landed.set()
        else:
            flight.landed.wait()
            if flight.error is not None:
                raise flight.error
        return flight.result[0]
