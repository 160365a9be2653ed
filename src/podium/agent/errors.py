"""Errors of the SDK, named by what the author should do about them."""


class AgentError(Exception):
    """Base of everything the SDK raises on purpose."""


class AgentEntryError(AgentError):
    """The manifest's `entry` can't be loaded; the message says which part and why."""


class AgentUsageError(AgentError):
    """A call that can't mean anything here: a message that has ended, an event an agent may not emit, a value JSON can't hold."""


class AgentRequestError(AgentError):
    """The coordinator refused a request (`messages`, `checkpoint`, `history`, `restore`), or did not answer in time."""


class StateError(AgentError):
    """The state can't take a change; `path` is the JSON Pointer of the place. Nothing was changed."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path or '/'}: {why}")
        self.path = path
        self.why = why


class StateValueError(StateError, ValueError):
    """JSON can't hold the value, or the place is declared for another kind of value."""


class StateAliasError(StateError, ValueError):
    """The same list, dict, set or object would be in two places of the state, or inside itself."""


class StateFieldError(StateError, AttributeError):
    """The state class declares no such field, or the field has no value yet."""


class MigrationError(AgentError):
    """The stored state can't be turned into what the state class now declares; it is left as it was."""
