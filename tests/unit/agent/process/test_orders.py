"""What is said between a coordinator and a child, and what must not be left behind by a rehearsal."""

import logging
import os
import signal
import socket
import threading

import pytest

from podium.agent.process.mounts import _outermost
from podium.agent.process.orders import Launch, Setup, pack, read_setup
from podium.agent.process.rehearsal import rehearse
from podium.agent.process.template import _reason

SETUP = Setup({"A": "ä"}, "/w", 200_001, True, {"RLIMIT_CORE": 0}, None, False, "/b", "agent:A", None)


def test_a_setup_arrives_as_it_was_sent_however_it_is_cut() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        body = pack(SETUP._asdict())
        sender = threading.Thread(
            target=lambda: [ours.send(bytes([byte])) for byte in len(body).to_bytes(4, "little") + body]
        )
        sender.start()
        assert read_setup(theirs.fileno()) == SETUP
        sender.join()


def test_a_coordinator_that_is_gone_is_told_from_an_empty_setup() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(b"\x05\x00\x00\x00ab")
        ours.close()
        with pytest.raises(EOFError):
            read_setup(theirs.fileno())


def test_a_launch_survives_its_packet() -> None:
    import json

    launch = Launch(1, "root", 190_000, True, "mapped", True, "agent:A", "/b", ["/usr"], True)
    assert Launch(**json.loads(pack(launch._asdict()))) == launch


def test_only_the_outermost_of_nested_directories_is_bound() -> None:
    from pathlib import Path

    paths = [Path("/root/a"), Path("/root/a/b/c"), Path("/root/ab")]
    assert _outermost(paths) == [Path("/root/a"), Path("/root/ab")]


def test_a_reason_is_one_line_and_says_what_was_raised() -> None:
    assert _reason(ValueError("first\nsecond")) == "ValueError: first"
    assert _reason(KeyError()) == "KeyError"


def test_a_rehearsal_leaves_nothing_behind() -> None:
    def held() -> tuple[object, ...]:
        handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)]
        descriptors = sorted(os.listdir("/proc/self/fd"))
        return (
            logging.root.level,
            list(logging.root.handlers),
            handlers,
            threading.active_count(),
            descriptors,
            dict(os.environ),
        )

    before = held()
    rehearse()
    assert held() == before
