"""Bytes of an agent become frames and lines, however they are cut."""

import random

import pytest

from podium.coordinator.adapters.link import LINE_MAX_BYTES, AgentLink, Stream
from podium.coordinator.domain.ports import ExitStatus
from podium.wire.link import FromAgent, IdleReply, LinkPong, Ready, pack


class Owner:
    def __init__(self) -> None:
        self.frames: list[FromAgent] = []
        self.reads: list[int] = []
        self.broken: list[str] = []
        self.lines: list[tuple[Stream, str]] = []
        self.ended: list[ExitStatus] = []

    def frames_received(self, link: AgentLink, frames: list[FromAgent]) -> None:
        self.frames += frames
        self.reads.append(len(frames))

    def link_broken(self, link: AgentLink, why: str) -> None:
        self.broken.append(why)

    def lines_printed(self, link: AgentLink, stream: Stream, lines: list[str]) -> None:
        self.lines += [(stream, line) for line in lines]

    def process_ended(self, link: AgentLink, status: ExitStatus) -> None:
        self.ended.append(status)


SAID: list[FromAgent] = [Ready(protocol=1), IdleReply(allow=False), LinkPong(nonce=7)]


@pytest.mark.parametrize("seed", range(20))
def test_frames_are_whole_however_the_bytes_come(seed: int) -> None:
    owner, lots = Owner(), random.Random(seed)
    link = AgentLink(owner)
    data = b"".join(map(pack, SAID)) * 5
    while data:
        size = lots.randrange(1, 60)
        link.link_received(data[:size])
        data = data[size:]
    assert owner.frames == SAID * 5
    assert owner.broken == []


def test_all_frames_of_one_read_are_handed_on_together() -> None:
    owner = Owner()
    AgentLink(owner).link_received(b"".join(map(pack, SAID)))
    assert owner.reads == [3]


def test_what_comes_before_a_broken_frame_counts_and_nothing_after_it() -> None:
    owner = Owner()
    link = AgentLink(owner)
    link.link_received(pack(SAID[0]) + b"\x04\x00\x00\x00nope" + pack(SAID[1]))
    link.link_received(pack(SAID[2]))
    assert owner.frames == SAID[:1]
    assert len(owner.broken) == 1


def test_printed_bytes_become_lines_per_stream() -> None:
    owner = Owner()
    link = AgentLink(owner)
    link.output_received("stdout", b"one\ntw")
    link.output_received("stderr", b"error\n")
    link.output_received("stdout", b"o\n\xff\nrest")
    link.process_ended(ExitStatus(0, None))
    assert owner.lines == [
        ("stdout", "one"),
        ("stderr", "error"),
        ("stdout", "two"),
        ("stdout", "�"),
        ("stdout", "rest"),
    ]
    assert owner.ended == [ExitStatus(0, None)]


def test_an_endless_line_is_cut() -> None:
    owner = Owner()
    link = AgentLink(owner)
    for _ in range(10):
        link.output_received("stdout", b"x" * LINE_MAX_BYTES)
    assert sum(len(line) for _, line in owner.lines) >= 9 * LINE_MAX_BYTES
    assert all(len(line) <= LINE_MAX_BYTES for _, line in owner.lines)
