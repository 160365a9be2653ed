"""Diminuendo's configuration: refused whole, documented in full."""

from pathlib import Path

import pytest

from diminuendo.settings import DiminuendoSettings
from podium.base.config import ConfigError, read, settings_of

KEY = {"PODIUM_API_KEY": "pod_x"}
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"


def problems(**environment: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(DiminuendoSettings, environment)
    return refused.value.problems


def test_with_a_key_for_podium_everything_else_has_a_default() -> None:
    settings = read(DiminuendoSettings, KEY)
    assert (settings.host, settings.port, settings.idle_seconds) == ("127.0.0.1", 8080, 1800.0)
    assert settings.keys_file == settings.data / "keys.json"
    assert settings.token_rules() is None


def test_every_mistake_is_in_one_report() -> None:
    found = problems(
        DIMINUENDO_PORT="http",
        DIMINUENDO_HOST="0.0.0.0",
        DIMINUENDO_AUTH="none",
        DIMINUENDO_JWKS_URL="http://idp.example/keys",
        PODIUM_URL="localhost",
        VALKEY_URL="valkey://127.0.0.1:6379/0",
    )
    beginnings = {problem.split()[0].rstrip(":") for problem in found}
    assert {
        "DIMINUENDO_PORT",
        "PODIUM_API_KEY",
        "DIMINUENDO_AUTH=none",
        "DIMINUENDO_JWKS_URL",
        "PODIUM_URL",
    } <= beginnings
    assert any("DIMINUENDO_JWT_ISSUER and DIMINUENDO_JWT_AUDIENCE" in problem for problem in found)
    assert any("DIMINUENDO_URL" in problem for problem in found)
    assert any("CLUSTER_KEY" in problem for problem in found)


def test_the_reference_page_names_every_variable_with_its_default() -> None:
    page = PAGE.read_text()
    for how in settings_of(DiminuendoSettings).values():
        default = f"`{how.default}`" if how.default is not None else "–"
        assert f"| `{how.variable}` | {default} | {how.meaning} |" in page, how.variable
