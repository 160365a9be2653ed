"""One loop for many: what fails for one does not end it for others."""

import contextlib
import os
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from chronicle.control.client import Client
from chronicle.control.messages import GetStatus, HolderRequest, line
from chronicle.control.server import Reply, Server
from chronicle.control.sockets import listen
from tests.waiting import until


class Answering:
    """A server on a thread of its own; it answers `GetStatus` with 7."""

    def __init__(self, place: Path) -> None:
        self.socket = place
        decoder: msgspec.json.Decoder[HolderRequest] = msgspec.json.Decoder(HolderRequest)
        self.server: Server[HolderRequest] = Server(listen(place), decoder, self._handle)
        self._thread = threading.Thread(target=self.server.run, name="answering")
        self._thread.start()

    def _handle(self, _request: HolderRequest, reply: Reply) -> None:
        reply.good(7)

    def ask(self) -> bytes:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(10)
            peer.connect(str(self.socket))
            peer.sendall(line(GetStatus(1)))
            return peer.recv(4096)

    def stop(self) -> None:
        self.server.stop()
        self._thread.join(10)


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    made = Answering(tmp_path / "socket")
    yield made
    made.stop()


@pytest.mark.noisy("something failed in the loop")
def test_work_that_fails_is_logged_and_the_loop_goes_on(answering: Answering) -> None:
    reader, writer = os.pipe()
    failures: list[str] = []

    def fail() -> None:
        failures.append("failed")
        raise OSError("no room")

    answering.server.post(fail)
    answering.server.post(lambda: answering.server.later(0, fail))
    answering.server.post(lambda: answering.server.look_at(reader, fail))
    os.write(writer, b"x")
    until(lambda: len(failures) >= 4)  # posted, after a time, and the descriptor, which is looked at again
    assert b"7" in answering.ask()
    ended = threading.Event()
    answering.server.post(lambda: answering.server.look_away(reader))
    answering.server.post(ended.set)
    assert ended.wait(10)
    os.close(reader)
    os.close(writer)


def test_a_descriptor_that_was_ended_by_what_came_before_is_not_asked_any_more(answering: Answering) -> None:
    pipes = [os.pipe(), os.pipe()]
    asked: list[int] = []

    def end_both(number: int) -> None:
        asked.append(number)
        for reader, _ in pipes:
            answering.server.look_away(reader)

    def look() -> None:
        for number, (reader, writer) in enumerate(pipes):
            os.write(writer, b"x")
            answering.server.look_at(reader, lambda number=number: end_both(number))  # type: ignore[misc]

    answering.server.post(look)
    until(lambda: bool(asked))
    assert b"7" in answering.ask()
    assert len(asked) == 1
    for end in (*pipes[0], *pipes[1]):
        os.close(end)


def test_who_connects_while_there_is_no_descriptor_left_is_answered_when_there_is(answering: Answering) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        filled = [os.open(os.devnull, os.O_RDONLY) for _ in range(highest)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(filled) + 1, hard))
        try:
            peer.connect(str(answering.socket))
            peer.sendall(line(GetStatus(1)))
            until(lambda: bool(answering.server._resting))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in filled:
                os.close(descriptor)
        assert b"7" in peer.recv(4096)


def test_a_client_works_in_a_process_with_more_than_a_thousand_descriptors(answering: Answering) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with contextlib.ExitStack() as taken:
        taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1024):
            taken.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        client = Client(answering.socket)
        taken.callback(client.close)
        assert [client.call(GetStatus(n), int, 10.0) for n in (1, 2)] == [
            7,
            7,
        ]  # the second over the first's connection
