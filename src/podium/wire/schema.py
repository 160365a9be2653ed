"""JSON Schemas of the wire, for those who write a client, an agent or a tool in another language."""

from typing import Any, Final

import msgspec

from podium.wire import commands, envelope, errors, events, link, moments, rest

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_REST_TYPES: Final[tuple[Any, ...]] = (
    rest.KeyCreate,
    rest.KeyInfo,
    rest.KeyCreated,
    rest.Deployment,
    rest.DeployRequest,
    rest.InstanceCreate,
    rest.Instance,
    rest.InstanceInfo,
    rest.CoordinatorCreate,
    rest.MessageSend,
    rest.MessageAccepted,
    rest.TurnResult,
    rest.ConversationMessage,
    rest.JournalEvent,
    rest.LogPage,
    rest.StateView,
    rest.PendingRequest,
    rest.RequestAnswer,
    rest.Agent,
    moments.Moment,
    moments.ForkRequest,
    moments.Forked,
    moments.RewindRequest,
    moments.Rewound,
    rest.ConfigView,
    rest.SecretNames,
    rest.Model,
    rest.Coordinator,
    rest.Health,
    rest.Ready,
    errors.Problem,
)


def schemas() -> dict[str, dict[str, Any]]:
    """File name → schema, one file per conversation: events, commands, agent link, REST."""
    contents = {name: kind for name, kind in events.CONTENT_TYPES.items() if kind is not None}
    local = {"connected": commands.Connected, "ack": commands.Ack, "nack": commands.Nack}
    return {
        "events.schema.json": _document(
            "Events of the StreamUpdate protocol", {"envelope": envelope.Event}, {"contents": {**contents, **local}}
        ),
        "commands.schema.json": _document("Commands of the StreamUpdate protocol", {"command": commands.Command}, {}),
        "agent-link.schema.json": _document(
            "Frames of the agent link", {"to_agent": link.ToAgent, "from_agent": link.FromAgent}, {}
        ),
        "rest.schema.json": _document("Bodies of the REST API", {kind.__name__: kind for kind in _REST_TYPES}, {}),
    }


def _document(title: str, named: dict[str, Any], groups: dict[str, dict[str, Any]]) -> dict[str, Any]:
    kinds = [*named.values(), *(kind for group in groups.values() for kind in group.values())]
    refs, components = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    by_kind = iter(refs)
    document: dict[str, Any] = {"$schema": _DIALECT, "title": title}
    document["properties"] = {name: next(by_kind) for name in named}
    for group, members in groups.items():
        document[group] = {name: next(by_kind) for name in members}
    document["$defs"] = dict(sorted(components.items()))
    return document
