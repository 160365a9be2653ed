"""Random lives of an agent against a plain model in memory, with openings in between."""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import AgentStore, InboxRow, StoreOptions
from podium.wire.patch import apply, decode_ops
from tests.unit.coordinator.adapters.store.writing import AGENT, INSTANCE, ORIGIN, encode

OPTIONS = StoreOptions(snapshot_every_deltas=3, wal_max_bytes=40_000)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


class Undo(Exception):
    """Ends a batch on purpose."""


class Life(RuleBasedStateMachine):
    """Every rule does one batch to the store and the same to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.store = self.open()
        self.events: list[tuple[str, bytes]] = []
        self.versions: list[Any] = [{}]
        self.inbox: dict[str, tuple[str, int]] = {}
        self.logs: list[str] = []

    def open(self) -> AgentStore:
        return AgentStore.open(Path(self.place.name), AGENT, self.clock, OPTIONS)

    def teardown(self) -> None:
        assert self.store.validate() == []
        self.check_everything()
        self.store.close()
        self.place.cleanup()

    @rule(contents=st.lists(VALUES, max_size=4), lines=st.lists(st.text(max_size=8), max_size=2))
    def say(self, contents: list[Any], lines: list[str]) -> None:
        with self.store.batch() as batch:
            for content in contents:
                batch.event("stream_update", encode({"text": content}), instance_id=INSTANCE)
            for line in lines:
                batch.log("info", line, "m", "agent", 1)
        self.events += [("stream_update", encode({"text": content})) for content in contents]
        self.logs += lines

    @rule(key=st.sampled_from("abc"), values=st.lists(VALUES, min_size=1, max_size=3))
    def change(self, key: str, values: list[Any]) -> None:
        with self.store.batch() as batch:
            for value in values:
                ops = encode([{"op": "add", "path": f"/{key}", "value": value}])
                batch.delta(len(self.versions), ops, "")
                copy = msgspec.json.decode(encode(self.versions[-1]))
                self.versions.append(apply(copy, decode_ops(ops)))

    @rule(value=st.dictionaries(st.text(max_size=3), VALUES, max_size=3))
    def replace(self, value: dict[str, Any]) -> None:
        with self.store.batch() as batch:
            batch.replace_state(len(self.versions), 1, encode(value), "")
        self.versions.append(value)

    @rule()
    def accept(self) -> None:
        name = f"m{len(self.inbox)}"
        content = encode({"message_id": name, "text": ""})
        with self.store.batch() as batch:
            event = batch.event("message.user", content, instance_id=INSTANCE, turn_id=f"turn-{name}")
            batch.accept(InboxRow(name, f"turn-{name}", b"{}", ORIGIN, event.seq))
        self.events.append(("message.user", content))
        self.inbox[name] = ("queued", 0)

    @precondition(lambda self: any(state in ("queued", "running") for state, _ in self.inbox.values()))
    @rule()
    def start(self) -> None:
        running = [name for name, (state, _) in self.inbox.items() if state == "running"]
        name = (running or [name for name, (state, _) in self.inbox.items() if state == "queued"])[0]
        attempt = self.inbox[name][1] + 1
        with self.store.batch() as batch:
            batch.start_turn(name, attempt)
        self.inbox[name] = ("running", attempt)

    @precondition(lambda self: any(state == "running" for state, _ in self.inbox.values()))
    @rule(outcome=st.sampled_from(["done", "cancelled", "failed"]))
    def finish(self, outcome: Any) -> None:
        name = next(name for name, (state, _) in self.inbox.items() if state == "running")
        with self.store.batch() as batch:
            batch.finish_turn(name, outcome, "end_turn")
        self.inbox[name] = (outcome, self.inbox[name][1])

    @rule()
    def drop(self) -> None:
        try:
            with self.store.batch() as batch:
                batch.event("stream_update", b"{}", instance_id=INSTANCE)
                batch.delta(len(self.versions), b"[]", "")
                raise Undo
        except Undo:
            pass

    @rule()
    def maintain(self) -> None:
        self.store.maintenance()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.open()
        self.check_everything()

    @invariant()
    def the_heads_are_the_models(self) -> None:
        assert (self.store.head_seq, self.store.state_version) == (len(self.events), len(self.versions) - 1)

    @invariant()
    def open_messages_are_the_models(self) -> None:
        wanted = [(name, *rest) for name, rest in self.inbox.items() if rest[0] in ("queued", "running")]
        assert [(row.message_id, row.state, row.attempt) for row in self.store.inbox_open()] == wanted

    def check_everything(self) -> None:
        assert [(row.type, row.content) for row in self.store.events(0, 10_000)] == self.events
        assert [row.message for row in self.store.logs(limit=10_000)] == self.logs
        for version, state in enumerate(self.versions):
            assert msgspec.json.decode(self.store.state(version).data) == state


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
