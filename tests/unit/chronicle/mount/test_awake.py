"""Processors are kept awake while requests come in quick succession, and at no other time."""

import logging
import os
import struct
import threading
from pathlib import Path

import pytest

from chronicle.mount import awake
from chronicle.mount.awake import BURST, MOST_PROCESSORS, Awake
from tests.waiting import until

ANY = 2_000_000_000
"""The kernel's default: no wish."""


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A plain file that takes what the kernel's would be told."""
    made = tmp_path / "cpu_dma_latency"
    made.touch()
    return made


def said(device: Path) -> list[int]:
    return [one for (one,) in struct.iter_unpack("=i", device.read_bytes())]


def burst(asked: Awake) -> None:
    """Requests until it is held, which takes two looks within a moment."""

    def serve() -> bool:
        for _ in range(2 * BURST):
            asked.served()
        return asked.held

    until(serve, what="held")


def watchers() -> int:
    return sum(thread.name == "chronicle-awake" for thread in threading.enumerate())


def test_a_burst_is_held_and_released_when_it_is_over_again_and_again(device: Path) -> None:
    asked = Awake("on", str(device))
    assert asked.possible
    assert said(device) == [ANY], "nothing is wished yet"
    for round in range(1, 4):
        burst(asked)
        until(lambda: not asked.held, what="released")
        assert said(device) == [ANY] + [0, ANY] * round
    asked.close()


def test_a_few_requests_are_no_burst(device: Path) -> None:
    asked = Awake("on", str(device))
    for _ in range(BURST - 1):
        asked.served()
    assert not asked.held
    asked.close()
    assert set(said(device)) == {ANY}
    assert asked.count == BURST - 1


def test_closing_takes_the_wish_back_and_holds_nothing(device: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    asked = Awake("on", str(device))
    burst(asked)
    asked.close()
    assert said(device)[-1] == ANY
    assert not asked.held
    assert not asked.possible
    assert watchers() == 0
    assert len(os.listdir("/proc/self/fd")) == before
    asked.close()
    for _ in range(10 * BURST):
        asked.served()
    assert not asked.held


@pytest.mark.parametrize("place", ["missing/device", "."])
def test_without_the_device_nothing_is_held_and_nothing_fails(tmp_path: Path, place: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    asked = Awake("on", str(tmp_path / place))
    assert not asked.possible
    for _ in range(100 * BURST):
        asked.served()
    assert not asked.held
    assert watchers() == 0
    assert len(os.listdir("/proc/self/fd")) == before
    asked.close()


def test_a_device_that_takes_nothing_is_as_none() -> None:
    before = len(os.listdir("/proc/self/fd"))
    asked = Awake("on", "/dev/full")
    assert not asked.possible
    assert len(os.listdir("/proc/self/fd")) == before
    asked.close()


@pytest.mark.noisy("kept awake")
def test_a_device_that_stops_taking_it_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    asked = Awake("on", str(fifo))
    assert os.read(reader, 100) == struct.pack("=i", ANY)
    os.close(reader)
    with caplog.at_level(logging.WARNING, awake.__name__):

        def refused() -> bool:
            for _ in range(2 * BURST):
                asked.served()
            return bool(caplog.records)

        until(refused, what="refused")
        for _ in range(10 * BURST):
            asked.served()
    assert not asked.held
    assert len(caplog.records) == 1, "tried once"
    caplog.clear()
    asked.close()


@pytest.mark.parametrize(
    ("processors", "possible"), [(MOST_PROCESSORS, True), (MOST_PROCESSORS + 1, False), (None, True)]
)
def test_by_itself_only_small_machines_are_kept_awake(
    device: Path, monkeypatch: pytest.MonkeyPatch, processors: int | None, possible: bool
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    asked = Awake("auto", str(device))
    assert asked.possible is possible
    asked.close()
    wanted = Awake("on", str(device))
    assert wanted.possible
    wanted.close()


def test_who_does_not_want_it_opens_nothing(device: Path) -> None:
    asked = Awake("off", str(device))
    for _ in range(10 * BURST):
        asked.served()
    asked.close()
    assert not asked.possible
    assert device.read_bytes() == b""
