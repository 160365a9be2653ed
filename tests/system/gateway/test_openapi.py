"""The document says what the platform does: a fuzzer driven by it finds no 5xx and no undocumented status."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.api import Caller
from tests.system.daemons import ADMIN_KEY

MAX_SECONDS = 40
"""Time budget of the fuzzer, beside its fixed phases."""

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,ignored_auth,unsupported_method"
)

ENDLESS = {"follow"}
"""Query parameters that make an answer endless."""


async def _document(caller: Caller, known: dict[str, list[str]]) -> dict[str, Any]:
    """The gateway's document, with values of path parameters that exist beside those that do not."""
    document: dict[str, Any] = (await caller("GET", "/openapi.json")).body
    for operations in document["paths"].values():
        for operation in operations.values():
            kept = [parameter for parameter in operation["parameters"] if parameter["name"] not in ENDLESS]
            for parameter in kept:
                if parameter["in"] == "path" and parameter["name"] in known:
                    parameter["schema"] = {"type": "string", "enum": known[parameter["name"]]}
            operation["parameters"] = kept
    return document


@pytest.mark.slow
@pytest.mark.proves("OPENAPI-TRUE")
@pytest.mark.timeout(240)
async def test_a_fuzzer_driven_by_the_document_finds_nothing(caller: Caller, echo: str, tmp_path: Path) -> None:
    instance = await caller.create(echo, agent_id="fuzzed")
    known = {
        "instance_id": [instance["instance_id"], "inst-aaaaaaaaaaaaaaaa"],
        "deployment_id": [echo, "nothing"],
        "agent_id": ["fuzzed", "nobody"],
        "agent_type": ["fuzzed-type"],
    }
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(await _document(caller, known)))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(file), "--url", caller.daemons.url),
        *("-H", f"Authorization: Bearer {ADMIN_KEY}", "--checks", CHECKS, "--max-time", str(MAX_SECONDS)),
        *("--phases", "examples,coverage,fuzzing", "--mode", "all", "--max-examples", "25", "--seed", "1"),
        *(
            "--exclude-operation-id",
            "stop_instance",
            "--exclude-operation-id",
            "drain_coordinator",
            "--request-timeout",
            "20",
            "--no-color",
        ),
        *("--suppress-health-check", "all", "--continue-on-failure", "--generation-database", "none"),
    ]
    running = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path
    )
    said, _ = await running.communicate()
    assert running.returncode == 0, said.decode()[-20_000:]
    assert (await caller("GET", f"/api/v1/instances/{instance['instance_id']}")).status == 200
