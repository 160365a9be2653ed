"""What can be wrong with credentials.

```
TokenRefusedError       it is not valid; `reason` is for the client and names no secret
└── KeysAwayError       nobody can tell: the identity provider's keys can't be had now
```
"""


class TokenRefusedError(Exception):
    """The token is not accepted. `reason` is a sentence for the client."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeysAwayError(TokenRefusedError):
    """The keys to check it with can't be had now; the same token may be good later."""
