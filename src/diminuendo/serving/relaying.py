"""What replicas say to each other: a client's messages on the way to the replica that works on its tenant, and back.

One WebSocket between two replicas carries everything that is asked and answered. For every reader there is one more, which after its
first answer carries the events of one session as they are: a reader that is full is not read from, and the network tells the other
side, whose own cursor then falls behind.
"""

from typing import Final

import msgspec

from diminuendo.protocol.answers import AnyAnswer, Error, Identity, error_of
from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.protocol.messages import AnyMessage

PATH: Final = "/relay"
"""Where a replica is asked by others, who show the cluster's key."""


class Request(msgspec.Struct, frozen=True):
    """A message of `caller`, whom the other replica has checked. `number` names the answer."""

    number: int
    caller: Identity
    message: AnyMessage


class Response(msgspec.Struct, frozen=True):
    """The answer to a request, which may be an error."""

    number: int
    answer: AnyAnswer


def failed(number: int, error: ProtocolError) -> Response:
    """The answer of a request that was refused."""
    return Response(number, error_of(error))


def checked(answer: AnyAnswer) -> AnyAnswer:
    """The answer, unless it is an error.

    Raises:
        ProtocolError: it is one.
    """
    if isinstance(answer, Error):
        request_id = answer.request_id if isinstance(answer.request_id, str) else None
        wait = answer.retry_after_ms if isinstance(answer.retry_after_ms, int) else None
        raise ProtocolError(Code(answer.code), answer.message, request_id, wait)
    return answer


class Head(msgspec.Struct, frozen=True):
    """What tells an event, which has a number, from everything else."""

    seq: int = 0


encode: Final = msgspec.json.Encoder().encode
read_request: Final = msgspec.json.Decoder(Request).decode
read_response: Final = msgspec.json.Decoder(Response).decode
read_head: Final = msgspec.json.Decoder(Head).decode
read_message: Final = msgspec.json.Decoder(AnyAnswer).decode
