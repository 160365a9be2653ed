"""Where a container stands in the tree of a state, and how a change of it is written down.

A node is a container of the state: a `TrackedList`, `TrackedDict`, `TrackedSet` or `DeltaState`. Each knows its parent
and its key there; only the root has a journal. A node that was taken out of the state has no parent, or stands under
one that has none: changing it records nothing.
"""

from typing import Any, Protocol

import msgspec

from podium.agent.state.journal import FRAME_OPS_MAX_BYTES, Journal, Verb
from podium.wire.patch import Op


class Node(Protocol):
    """What all containers of a state have.

    `_key` is the escaped pointer segment (`"/name"`) under a dict or an object, and the index under a list, which is
    only a hint: inserting before it does not tell it. `_source` is the plain container it was made from, as long as
    the author may still hold that.
    """

    _parent: "Node | None"
    _key: str | int
    _source: Any
    _journal: Journal | None


class Change(msgspec.Struct, frozen=True):
    """One operation below a node; `at` begins with a slash. `payload` is a scalar or encoded JSON (`msgspec.Raw`)."""

    verb: Verb
    at: str
    payload: Any = msgspec.UNSET


def segment(key: str) -> str:
    """The pointer segment of a key, slash included."""
    if "~" in key or "/" in key:
        return "/" + key.replace("~", "~0").replace("/", "~1")
    return "/" + key


def place(node: Any) -> tuple[Journal | None, str]:
    """The journal of the state `node` is in (None when it is in none) and its JSON Pointer."""
    path = ""
    while (parent := node._parent) is not None:
        key = node._key
        path = f"/{index_in(parent, node, key)}{path}" if type(key) is int else key + path
        node = parent
    return node._journal, path


def index_in(parent: list[Any], node: Any, hint: int) -> int:
    """Where `node` stands in `parent`; looked for outwards from `hint`, which is then corrected."""
    size = len(parent)
    if hint < size and parent[hint] is node:
        return hint
    for distance in range(1, size + abs(hint) + 1):
        for index in (hint - distance, hint + distance):
            if 0 <= index < size and parent[index] is node:
                node._key = index
                return index
    raise LookupError("a node is not in its parent: the list was changed behind its methods")


def attached(node: Any) -> bool:
    """Whether `node` is part of a recorded state."""
    while node._parent is not None:
        node = node._parent
    return node._journal is not None


def note(node: Any, verb: Verb, at: str, payload: Any = msgspec.UNSET) -> None:
    """Records one change at `at` below `node`."""
    journal, path = place(node)
    if journal is not None:
        journal.record(Op(verb, path + at, payload))


def note_shortest(node: Any, changes: list[Change], whole: Any) -> None:
    """Records `changes`, or one replacement of `node` when that is shorter. `whole()` gives the node's payload."""
    journal, path = place(node)
    if journal is None or not changes:
        return
    ops = [Op(change.verb, path + change.at, change.payload) for change in changes]
    # Only a node with a path can be replaced, and writing it is only worth trying when its barest form would win.
    if len(ops) > 1 and path:
        size = len(_encode(ops))
        if size > 2 * len(node) + _REPLACE_BYTES + len(path):
            replacement = Op("replace", path, whole())
            if len(_encode(replacement)) + 2 < min(size, FRAME_OPS_MAX_BYTES):
                ops = [replacement]
    for op in ops:
        journal.record(op)


_REPLACE_BYTES = len(b'[{"op":"replace","path":"","value":[]}]')
_encode = msgspec.json.Encoder().encode
