"""Who changed what is written down, refused attempts too, and nothing that is secret."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podium.base.http import audit
from tests.system.gateway.conftest import ADMIN_KEY, House


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    """A file of the records."""
    file = tmp_path / "audit.log"
    log = logging.getLogger("podium.audit")
    log.setLevel(logging.INFO)
    handler = audit.keep_in(file)
    yield file
    log.removeHandler(handler)
    handler.close()


@pytest.mark.proves("AUDIT-ADMINISTRATION")
async def test_administrative_actions_are_written_down(house: House, kept: Path) -> None:
    status, made = await house.call("POST", "/api/v1/keys", ADMIN_KEY, json={"tenant_id": "acme"})
    assert status == 201
    calls: list[tuple[str, str, str, dict[str, Any]]] = [
        ("PUT", "/api/v1/secrets/writer", made["key"], {"json": {"TOKEN": "hush-hush"}}),
        ("PUT", "/api/v1/config", made["key"], {"json": {"config": {"a": 1}}}),
        ("DELETE", f"/api/v1/keys/{made['key_id']}", "pod_nobody", {}),
        ("GET", "/api/v1/deployments", made["key"], {}),
        ("DELETE", f"/api/v1/keys/{made['key_id']}", ADMIN_KEY, {}),
    ]
    answered = [(await house.call(method, path, key, **more))[0] for method, path, key, more in calls]
    assert answered == [200, 403, 401, 200, 204]
    records = [json.loads(line) for line in kept.read_text().splitlines()]
    key_id = made["key_id"]
    assert [(each["action"], each["actor"], each["tenant"], each["status"]) for each in records] == [
        ("create_key", "first-admin", None, 201),
        ("put_secrets", key_id, "acme", 200),
        ("put_config", key_id, "acme", 403),
        ("revoke_key", None, None, 401),
        ("revoke_key", "first-admin", None, 204),
    ]
    assert records[1]["target"] == {"agent_type": "writer"}
    assert all(each["request_id"] for each in records)
    assert "hush-hush" not in kept.read_text()
    assert made["key"] not in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
