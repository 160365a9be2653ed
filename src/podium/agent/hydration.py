"""The stored state becomes an object of the author's class, migrated when it is older."""

import copy
from typing import TYPE_CHECKING, Any

import msgspec

from podium.agent.errors import MigrationError
from podium.agent.outbox import Outbox
from podium.agent.state.journal import Journal
from podium.agent.state.root import begin_recording, restored
from podium.wire.link import Init, StateReplaced

if TYPE_CHECKING:
    from podium.agent.state import DeltaState


def hydrated(model: "type[DeltaState]", init: Init, outbox: Outbox) -> "DeltaState":
    """The state of an instance, its changes followed by `outbox`.

    A new agent's first state and the result of a migration are sent whole. Fields the stored state lacks take their
    defaults, as a change.

    Raises:
        MigrationError: the stored state is of a newer class, its migration failed, or it does not fit the class.
    """
    data, replaced = _stored(model, init)
    try:
        state = restored(model, data)
        journal = Journal()
        if replaced:
            state._fill()
            begin_recording(state, journal)
        else:
            outbox.follow(journal, init.state_version)
            begin_recording(state, journal)
    except (ValueError, TypeError) as error:
        raise MigrationError(f"the stored state does not fit {model.__name__}: {error}") from error
    if replaced:
        version = init.state_version + 1
        outbox.send(StateReplaced(version, model._version, msgspec.Raw(msgspec.json.encode(state.to_dict()))))
        outbox.follow(journal, version)
    return state


def _stored(model: "type[DeltaState]", init: Init) -> tuple[dict[str, Any], bool]:
    """The data to start from, and whether they are other than what is stored."""
    if init.state is None:
        return {}, True
    schema = init.state_schema if init.state_schema is not None else model._version
    if schema > model._version:
        raise MigrationError(
            f"the stored state has _version {schema}, {model.__name__} has {model._version}: deploy the newer code"
        )
    if schema == model._version:
        return init.state, False
    try:
        migrated = model.migrate(copy.deepcopy(init.state), schema)
    except Exception as error:
        raise MigrationError(f"migrating from _version {schema} failed: {type(error).__name__}: {error}") from error
    if not isinstance(migrated, dict):
        raise MigrationError(f"{model.__name__}.migrate must return a dict, it returned {type(migrated).__name__}")
    return migrated, True
