"""How many events does the mapper take in a second of one core? `python -m benchmarks.diminuendo.mapping [--seconds S]`"""

import argparse
import time

from benchmarks.figures import Row, median, table
from diminuendo.domain.events import encode, stamped
from diminuendo.domain.mapper import map_podium_event
from podium.client import PodiumEvent

AIM = 200_000
"""Events a CPU second: hundreds of agents that stream as fast as models can."""

_CALL = {"tool_call_id": "call-1", "tool_name": "bash"}
MIX: list[PodiumEvent] = [
    PodiumEvent("stream_start", {"message_id": "msg-1", "attempt": 1}, ts=1),
    *(PodiumEvent("stream_update", {"text": "some words "}, ts=1) for _ in range(20)),
    *(PodiumEvent("thinking.progress", {"text": "some thoughts "}, ts=1) for _ in range(5)),
    PodiumEvent("tool.call", {**_CALL, "arguments": {"command": "ls"}}, ts=1),
    PodiumEvent("tool.result", {**_CALL, "result": "files"}, ts=1),
    PodiumEvent(
        "usage.update",
        {
            "model": "m",
            "provider": "p",
            "input_tokens": 9,
            "output_tokens": 9,
            "cached_tokens": 9,
            "cost_micro_dollars": 9,
        },
        ts=1,
    ),
    PodiumEvent("stream_end", {"text": "some words " * 20, "stop_reason": "end_turn"}, ts=1),
]
"""What a turn looks like."""


def mapping_rate(seconds: float) -> float:
    """Events a CPU second through the mapper alone, with the mix of a turn; CPU time, so that other work on the machine does not count."""
    done, started = 0, time.process_time()
    while time.process_time() < started + seconds:
        for event in MIX:
            map_podium_event("sess-1", "turn-1", event)
        done += len(MIX)
    return done / (time.process_time() - started)


def frame_rate(seconds: float) -> float:
    """Events a CPU second mapped, numbered and written as JSON."""
    done, started = 0, time.process_time()
    while time.process_time() < started + seconds:
        for event in MIX:
            for made in map_podium_event("sess-1", "turn-1", event):
                done += 1
                encode(stamped(made, done, 1))
    return done / (time.process_time() - started)


def main() -> None:
    """Prints the figures: medians of five rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0)
    seconds = parser.parse_args().seconds
    rows = [
        Row("events mapped a CPU second", f"{median([mapping_rate(seconds) for _ in range(5)]):,.0f}", f"≥ {AIM:,}"),
        Row(
            "mapped, numbered and written as JSON a CPU second",
            f"{median([frame_rate(seconds) for _ in range(5)]):,.0f}",
        ),
    ]
    print(table("Diminuendo: event mapper", rows))


if __name__ == "__main__":
    main()
