"""What the failures of the parts below are as errors of JSON-RPC.

```
-32000  a valid token, or key of Podium, is needed
-32002  there is no such session, agent, deployment, …
-32600  the role or the key does not allow it
-32602  what was asked for makes no sense
-32603  Podium can't be reached, the agent failed, something is wrong; `data.retryable` says whether trying again may help
```

`data.code` is Podium's code, or that of the client protocol.
"""

from diminuendo.acp.rpc import messages
from diminuendo.acp.rpc.messages import RpcError
from diminuendo.protocol.errors import Code, ProtocolError
from podium.client import PodiumConnectionError
from podium.wire.errors import MAPPINGS, ErrorCode

_OF_STATUS = {
    400: messages.INVALID_PARAMS,
    401: messages.AUTH_REQUIRED,
    403: messages.INVALID_REQUEST,
    404: messages.NOT_FOUND,
    413: messages.INVALID_PARAMS,
}
"""By the HTTP status Podium's code has."""

_OF_CODE = {
    Code.SESSION_NOT_FOUND: messages.NOT_FOUND,
    Code.INVALID_MESSAGE: messages.INVALID_PARAMS,
    Code.MESSAGE_TOO_LARGE: messages.INVALID_PARAMS,
    Code.FORBIDDEN: messages.INVALID_REQUEST,
    Code.AUTH_FAILED: messages.AUTH_REQUIRED,
    Code.UNAUTHENTICATED: messages.AUTH_REQUIRED,
    Code.AUTH_RATE_LIMITED: messages.AUTH_REQUIRED,
}


def by_podium(error: PodiumConnectionError) -> RpcError:
    """A failed call to Podium, without addresses of ours."""
    detail = error.detail
    if error.code is ErrorCode.UNREACHABLE:
        detail = "Podium can't be reached now: `podium up` starts one, PODIUM_URL says where another is"
    number = _OF_STATUS.get(MAPPINGS[error.code].status, messages.INTERNAL_ERROR)
    return RpcError(number, detail, {"code": error.code.value, "retryable": error.retryable})


def by_protocol(error: ProtocolError) -> RpcError:
    """A message Diminuendo's sessions refused."""
    number = _OF_CODE.get(error.code, messages.INTERNAL_ERROR)
    return RpcError(number, error.message, {"code": error.code.value})
