"""The variables of OpenTelemetry, read as every other setting."""

import pytest

from podium.base.config import ConfigError, explain, read
from podium.base.telemetry import TelemetrySettings
from podium.base.telemetry.settings import pairs


def test_lists_are_read_as_opentelemetry_writes_them() -> None:
    assert pairs("api-key=a%20b, team = x") == {"api-key": "a b", "team": "x"}


@pytest.mark.proves("CONFIG-ONE-REPORT")
def test_every_mistake_is_named_and_no_secret_is_shown() -> None:
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "hushhush",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_RESOURCE_ATTRIBUTES": "=x",
        "OTEL_TRACES_SAMPLER": "sometimes",
        "OTEL_TRACES_SAMPLER_ARG": "2",
        "OTEL_BSP_SCHEDULE_DELAY": "5s",
    }
    with pytest.raises(ConfigError) as caught:
        read(TelemetrySettings, given)
    assert sorted(problem.split(":")[0] for problem in caught.value.problems) == sorted(given)
    assert "hushhush" not in str(caught.value)


@pytest.mark.proves("CONFIG-SECRETS-MASKED")
def test_credentials_for_the_collector_do_not_print() -> None:
    given = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=hushhush"}
    assert "hushhush" not in explain(read(TelemetrySettings, given), given)
