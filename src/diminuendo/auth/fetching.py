"""Fetching a JWK set over HTTP."""

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from diminuendo.auth.errors import KeysAwayError

if TYPE_CHECKING:
    from diminuendo.auth.jwks import Fetch

FETCH_SECONDS: Final = 5.0
"""How long fetching may take in all: a client waits for it with its ten seconds."""

SET_MAX_BYTES: Final = 256 * 1024
"""Largest set; a hundred RSA keys of 4096 bits have less than 100 KiB."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def fetch_from(url: str) -> "Fetch":
    """Fetches the set at `url`: HTTPS, or plain HTTP from this host. Redirects are not followed: the address is one the
    operator chose.

    Raises:
        ValueError: it is another kind of address.
    """
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise ValueError(f"{url!r} is no https address")

    async def fetch() -> bytes:
        import aiohttp

        try:
            timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise KeysAwayError("the identity provider does not give its keys")
                text = bytearray()
                async for piece in response.content.iter_any():
                    text += piece
                    if len(text) > SET_MAX_BYTES:
                        raise KeysAwayError("the identity provider's keys are too many")
                return bytes(text)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KeysAwayError("the identity provider can't be reached") from error

    return fetch
