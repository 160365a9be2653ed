"""What goes wrong below, as clients hear it."""

import pytest

from diminuendo.acp.failures import by_podium, by_protocol
from diminuendo.protocol.errors import Code, ProtocolError
from podium.client import PodiumConnectionError
from podium.client.errors import unreachable
from podium.wire.errors import ErrorCode, PodiumError


@pytest.mark.parametrize(
    ("code", "number"),
    [
        (ErrorCode.UNAUTHENTICATED, -32000),
        (ErrorCode.PERMISSION_DENIED, -32600),
        (ErrorCode.DEPLOYMENT_NOT_FOUND, -32002),
        (ErrorCode.MESSAGE_TOO_LARGE, -32602),
        (ErrorCode.INVALID_REQUEST, -32602),
        (ErrorCode.NO_COORDINATOR_AVAILABLE, -32603),
        (ErrorCode.AGENT_START_FAILED, -32603),
    ],
)
def test_podiums_codes_have_numbers(code: ErrorCode, number: int) -> None:
    error = by_podium(PodiumConnectionError("create", PodiumError(code, "no")))
    assert (error.code, error.message, error.data["code"]) == (number, "no", code.value)


def test_an_address_is_told_to_nobody() -> None:
    error = by_podium(unreachable("create", "http://10.0.0.7:8090: connection refused"))
    assert "10.0.0.7" not in error.message
    assert "podium up" in error.message
    assert error.data == {"code": "unreachable", "retryable": True}


@pytest.mark.parametrize("code", list(Code))
def test_every_code_of_the_client_protocol_has_a_number(code: Code) -> None:
    error = by_protocol(ProtocolError(code, "no"))
    assert error.code in (-32000, -32002, -32600, -32602, -32603)
    assert error.data == {"code": code.value}
