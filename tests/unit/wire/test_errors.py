"""One enumeration, three mappings, none forgotten."""

import msgspec
import pytest

from podium.wire.close import CloseCode
from podium.wire.errors import MAPPINGS, ErrorCode, FieldError, PodiumError, Problem


@pytest.mark.proves("ERRORS-ONE-ENUMERATION")
def test_every_code_has_a_status_a_close_code_and_an_exit_code() -> None:
    assert set(MAPPINGS) == set(ErrorCode)
    for mapping in MAPPINGS.values():
        assert 400 <= mapping.status <= 599
        assert mapping.close in set(CloseCode)
        assert 64 <= mapping.exit <= 78
        assert mapping.title


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid_json", 400), ("invalid_request", 400), ("invalid_bundle", 400), ("invalid_path", 400),
        ("unauthenticated", 401), ("permission_denied", 403),
        ("deployment_not_found", 404), ("instance_not_found", 404), ("agent_not_found", 404),
        ("file_not_found", 404), ("iteration_not_found", 404),
        ("deployment_exists", 409), ("agent_in_use", 409), ("instance_stopping", 409),
        ("bundle_too_large", 413), ("message_too_large", 413), ("unsupported_media_type", 415),
        ("checksum_mismatch", 422), ("agent_start_failed", 422), ("rate_limited", 429), ("quota_exceeded", 429),
        ("no_coordinator_available", 503), ("registry_unavailable", 503), ("draining", 503), ("agent_timeout", 504),
    ],
)  # fmt: skip
def test_the_statuses_that_clients_rely_on(code: str, status: int) -> None:
    assert MAPPINGS[ErrorCode(code)].status == status


def test_a_problem_travels_and_comes_back_as_the_same_error() -> None:
    error = PodiumError(ErrorCode.AGENT_START_FAILED, "it fell", errors=[FieldError("body", "x")], logs=["a", "b"])
    back = PodiumError.from_problem(msgspec.json.encode(error.problem("req-1")), 422, retry_after=2.0)
    assert (back.code, back.detail, back.errors, back.logs) == (error.code, error.detail, error.errors, error.logs)
    assert back.retry_after == 2.0


def test_a_body_that_is_no_problem_becomes_an_internal_error_with_the_status() -> None:
    assert "502" in PodiumError.from_problem(b"<html>", 502).detail
    unknown = msgspec.json.encode(Problem("t", "t", 418, "d", "no_such_code"))
    assert PodiumError.from_problem(unknown, 418).code is ErrorCode.INTERNAL
