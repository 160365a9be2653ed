"""A daemon tells how it is itself."""

import asyncio
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from podium.base import vitals as vitals_module
from podium.base.metrics import Metrics
from podium.base.vitals import Vitals
from tests.waiting import wait_until


def values(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.page())
    return {sample.name: sample.value for family in families for sample in family.samples}


async def test_a_loop_that_hung_is_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vitals_module, "TICK_SECONDS", 0.01)
    metrics = Metrics()
    vitals = Vitals(metrics, tmp_path / "not" / "there" / "yet")
    vitals.start()
    await asyncio.sleep(0)  # now it waits for its first tick
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass  # the loop hangs
    await wait_until(lambda: values(metrics)["podium_loop_lag_seconds"] >= 0.2)
    await vitals.close()


def test_what_it_takes_of_the_host_is_told(tmp_path: Path) -> None:
    metrics = Metrics()
    Vitals(metrics, tmp_path)
    found = values(metrics)
    assert found["podium_process_memory_bytes"] > 1_000_000
    assert found["podium_process_cpu_seconds_total"] > 0
    assert 0 < found["podium_process_open_files"] < found["podium_process_open_files_limit"]
    assert 0 < found["podium_disk_free_ratio"] <= 1
