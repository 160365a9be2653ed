"""Who a client is, whatever it brought."""

from typing import TYPE_CHECKING, Final, Protocol

from diminuendo.auth.api_keys import PREFIX
from diminuendo.auth.errors import TokenRefusedError
from diminuendo.auth.verified import Verified
from diminuendo.protocol.answers import Identity
from podium.base.clock import Clock

if TYPE_CHECKING:
    from diminuendo.auth.tokens import TokenChecker  # some 100 ms, for those who accept tokens

LOCAL: Final = Identity("local", "", "local", "owner")
"""Who everybody is where no authentication is asked for."""


class Keys(Protocol):
    """API keys: `ApiKeys`, or a `KeyFile`, which changes."""

    def identify(self, key: str, now_ms: int) -> Verified:
        """Whose key it is. Raises `TokenRefusedError`."""
        ...


class Callers:
    """Tells whose token it is: an API key by its prefix, else a token of the identity provider, if there is one."""

    def __init__(self, api_keys: Keys, tokens: "TokenChecker | None", clock: Clock) -> None:
        self._api_keys = api_keys
        self._tokens = tokens
        self._clock = clock

    async def identify(self, token: str) -> Verified:
        """Whose it is.

        Raises:
            TokenRefusedError: nobody's; `KeysAwayError` when that can't be told now.
        """
        if token.startswith(PREFIX):
            return self._api_keys.identify(token, self._clock.now_ms())
        if self._tokens is None:
            raise TokenRefusedError("only API keys are accepted here")
        return await self._tokens.identify(token)

    def still_holds(self, key: str) -> bool:
        """Whether an API key that was good before still is."""
        try:
            self._api_keys.identify(key, self._clock.now_ms())
        except TokenRefusedError:
            return False
        return True
