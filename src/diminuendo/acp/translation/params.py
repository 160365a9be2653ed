"""What a client of ACP sends, as types. Unknown fields are passed over, as the protocol asks."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

SessionId = Annotated[str, Meta(min_length=1, max_length=255)]


class Params(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Base of all parameters."""


# ── content ──────────────────────────────────────────────────────────────────────────────────────────────────


class Text(Params, frozen=True, tag="text", tag_field="type"):
    """Text a person typed."""

    text: str


class Image(Params, frozen=True, tag="image", tag_field="type"):
    """An image, as base64."""

    data: str
    mime_type: str
    uri: str | None = None


class Audio(Params, frozen=True, tag="audio", tag_field="type"):
    """Sound, as base64; nobody here takes it."""

    data: str
    mime_type: str


class ResourceLink(Params, frozen=True, tag="resource_link", tag_field="type"):
    """Something the agent may look up by itself."""

    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None


class Contents(Params, frozen=True):
    """What a resource holds: text, or bytes as base64."""

    uri: str
    text: str | None = None
    blob: str | None = None
    mime_type: str | None = None


class Resource(Params, frozen=True, tag="resource", tag_field="type"):
    """A resource with its contents."""

    resource: Contents


Block = Text | Image | Audio | ResourceLink | Resource


# ── methods ──────────────────────────────────────────────────────────────────────────────────────────────────


class Elicitation(Params, frozen=True):
    """Forms and addresses the client can put before a person."""

    form: dict[str, Any] | None = None


class ConfigOptions(Params, frozen=True):
    """Kinds of options beside `select`."""

    boolean: dict[str, Any] | None = None


class SessionCapabilities(Params, frozen=True):
    """What the client can do with a session."""

    config_options: ConfigOptions | None = None


class ClientCapabilities(Params, frozen=True):
    """What the client can do. Its files and terminals are not the agent's, and are not used."""

    elicitation: Elicitation | None = None
    session: SessionCapabilities | None = None
    meta: dict[str, Any] | None = msgspec.field(name="_meta", default=None)

    @property
    def forms(self) -> bool:
        """Whether it shows forms."""
        return self.elicitation is not None and self.elicitation.form is not None

    @property
    def booleans(self) -> bool:
        """Whether it knows options that are on or off."""
        options = self.session.config_options if self.session is not None else None
        return options is not None and options.boolean is not None

    @property
    def terminals(self) -> bool:
        """Whether it shows terminals whose output the agent sends (`_meta.terminal_output`)."""
        return self.meta is not None and self.meta.get("terminal_output") is True


class Initialize(Params, frozen=True):
    """`initialize`."""

    protocol_version: Annotated[int, Meta(ge=0, le=65_535)]
    client_capabilities: ClientCapabilities | None = None


class Authenticate(Params, frozen=True):
    """`authenticate`; the token lies in `_meta.token`."""

    method_id: str
    meta: dict[str, Any] | None = msgspec.field(name="_meta", default=None)


class NewSession(Params, frozen=True):
    """`session/new`. MCP servers are the editor's; the agent, elsewhere, has tools of its own."""

    cwd: str
    mcp_servers: list[Any] = []


class OldSession(Params, frozen=True):
    """`session/load` and `session/resume`."""

    session_id: SessionId
    cwd: str
    mcp_servers: list[Any] = []


class ListSessions(Params, frozen=True):
    """`session/list`."""

    cwd: str | None = None
    cursor: str | None = None


class OneSession(Params, frozen=True):
    """`session/cancel`, `session/close`, `session/delete`."""

    session_id: SessionId


class PromptParams(Params, frozen=True):
    """`session/prompt`."""

    session_id: SessionId
    prompt: Annotated[list[Block], Meta(min_length=1)]


class SetMode(Params, frozen=True):
    """`session/set_mode`."""

    session_id: SessionId
    mode_id: str


class SetOption(Params, frozen=True):
    """`session/set_config_option`."""

    session_id: SessionId
    config_id: str
    value: str | bool


# ── answers to what we ask ───────────────────────────────────────────────────────────────────────────────────


class Outcome(Params, frozen=True):
    """How a person answered a permission: `selected` with an option, or `cancelled`."""

    outcome: str
    option_id: str | None = None


class PermissionAnswer(Params, frozen=True):
    """The answer to `session/request_permission`."""

    outcome: Outcome


class FormAnswer(Params, frozen=True):
    """The answer to `elicitation/create`: `accept` with content, `decline` or `cancel`."""

    action: str
    content: dict[str, Any] | None = None
