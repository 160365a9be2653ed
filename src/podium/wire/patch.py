"""JSON Patch (RFC 6902) as delta state uses it: `add`, `remove`, `replace` on JSON values.

`move`, `copy` and `test` are never made by us and are refused. Operations are applied in place.
"""

from typing import Any, Literal

import msgspec


class PatchError(ValueError):
    """An operation does not fit the value it is applied to."""


class Op(msgspec.Struct, frozen=True):
    """One operation; `path` is a JSON Pointer (RFC 6901)."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any = msgspec.UNSET


def pointer(path: tuple[str | int, ...]) -> str:
    """The JSON Pointer for `path`: `("a/b", 0)` → `/a~1b/0`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def parts_of(text: str) -> list[str]:
    """The parts of a JSON Pointer.

    Raises:
        PatchError: it does not begin with a slash.
    """
    if text == "":
        return []
    if not text.startswith("/"):
        raise PatchError(f"{text!r} is no JSON Pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def apply(document: Any, ops: list[Op]) -> Any:
    """`document` after `ops`; containers are changed in place, the returned value is the document's new root.

    Raises:
        PatchError: an operation names a place that is not there.
    """
    for op in ops:
        document = _apply_one(document, op)
    return document


def decode_ops(data: bytes) -> list[Op]:
    """Operations from JSON.

    Raises:
        PatchError: it is no list of operations.
    """
    try:
        return _OPS.decode(data)
    except msgspec.DecodeError as error:
        raise PatchError(f"no JSON Patch: {error}") from error


def _apply_one(document: Any, op: Op) -> Any:
    parts = parts_of(op.path)
    if op.op != "remove" and op.value is msgspec.UNSET:
        raise PatchError(f"{op.op} {op.path!r} has no value")
    if not parts:
        if op.op == "remove":
            raise PatchError("the root can't be removed")
        return op.value
    parent = document
    for part in parts[:-1]:
        parent = _step(parent, part, op.path)
    if isinstance(parent, dict):
        _change_dict(parent, parts[-1], op)
    elif isinstance(parent, list):
        _change_list(parent, parts[-1], op)
    else:
        raise PatchError(f"{op.path!r} goes through a value that is no container")
    return document


def _step(parent: Any, part: str, path: str) -> Any:
    if isinstance(parent, dict):
        if part not in parent:
            raise PatchError(f"{path!r}: there is no {part!r}")
        return parent[part]
    if isinstance(parent, list):
        return parent[_index(parent, part, path, len(parent))]
    raise PatchError(f"{path!r} goes through a value that is no container")


def _index(array: list[Any], part: str, path: str, below: int) -> int:
    if not (part.isascii() and part.isdigit()) or (len(part) > 1 and part[0] == "0") or int(part) >= below:
        raise PatchError(f"{path!r}: {part!r} is no index of an array of {len(array)}")
    return int(part)


def _change_dict(parent: dict[str, Any], key: str, op: Op) -> None:
    if op.op != "add" and key not in parent:
        raise PatchError(f"{op.op} {op.path!r}: there is nothing")
    if op.op == "remove":
        del parent[key]
    else:
        parent[key] = op.value


def _change_list(parent: list[Any], part: str, op: Op) -> None:
    if op.op == "add":
        if part == "-":
            parent.append(op.value)
        else:
            parent.insert(_index(parent, part, op.path, len(parent) + 1), op.value)
    elif op.op == "remove":
        del parent[_index(parent, part, op.path, len(parent))]
    else:
        parent[_index(parent, part, op.path, len(parent))] = op.value


_OPS: msgspec.json.Decoder[list[Op]] = msgspec.json.Decoder(list[Op])
