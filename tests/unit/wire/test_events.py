"""Names of events: the canonical ones have contents, the aliases lead to them."""

import msgspec
import pytest

from podium.wire import events


@pytest.mark.proves("STREAM-ALIASES")
@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("created", "stream_start"),
        ("update", "stream_update"),
        ("complete", "stream_end"),
        ("stream_complete", "stream_end"),
        ("thinking_update", "thinking.progress"),
        ("usage", "usage.update"),
        ("context", "usage.context"),
    ],
)
def test_a_reader_accepts_the_aliases(alias: str, name: str) -> None:
    assert events.canonical(alias) == name
    assert name in events.CONTENT_TYPES


def test_a_canonical_or_unknown_name_stays_as_it_is() -> None:
    for name in (*events.CONTENT_TYPES, "something.new"):
        assert events.canonical(name) == name


def test_an_agent_may_not_speak_for_the_platform() -> None:
    platform = {"checkpoint", "message.user", "state.status", "sandbox.init", "terminated", "tool.approval_resolved"}
    assert not platform & events.AGENT_EVENTS
    assert set(events.CONTENT_TYPES) >= events.AGENT_EVENTS


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("stream_start", {"message_id": "m", "attempt": 1}),
        (
            "usage.update",
            {
                "model": "m",
                "provider": "p",
                "input_tokens": 1,
                "output_tokens": 2,
                "cached_tokens": 0,
                "cost_micro_dollars": 0,
            },
        ),
        ("file.changed", {"path": "a", "kind": "renamed", "iteration": 3, "from": "b"}),
        ("terminal.complete", {"terminal_id": "t", "exit_code": None, "signal": "SIGKILL"}),
    ],
)
def test_a_content_is_written_with_every_field_the_protocol_names(kind: str, content: dict[str, object]) -> None:
    struct = events.CONTENT_TYPES[kind]
    assert struct is not None
    assert msgspec.to_builtins(msgspec.convert(content, struct)) == content
