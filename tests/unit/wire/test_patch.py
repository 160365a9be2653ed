"""JSON Patch as RFC 6902 has it, with what we never make refused."""

from typing import Any

import pytest

from podium.wire.patch import Op, PatchError, apply, decode_ops, parts_of, pointer


@pytest.mark.parametrize(
    ("before", "op", "after"),
    [
        ({"a": [1]}, Op("add", "/a/-", 2), {"a": [1, 2]}),
        ({"a": [1]}, Op("add", "/a/0", 0), {"a": [0, 1]}),
        ({"a": [1]}, Op("add", "/a/1", 2), {"a": [1, 2]}),
        ({"a": 1}, Op("add", "/b", None), {"a": 1, "b": None}),
        ({"a": 1}, Op("replace", "/a", {}), {"a": {}}),
        ({"a": [1, 2]}, Op("remove", "/a/0"), {"a": [2]}),
        ({"a/b": {"~": 1}}, Op("replace", "/a~1b/~0", 2), {"a/b": {"~": 2}}),
        ({"": {"x": 1}}, Op("remove", "//x"), {"": {}}),
        ({"a": 1}, Op("replace", "", [1]), [1]),
    ],
)
def test_an_operation_does_what_the_rfc_says(before: Any, op: Op, after: Any) -> None:
    assert apply(before, [op]) == after


@pytest.mark.parametrize(
    "op",
    [
        Op("replace", "/nope", 1), Op("remove", "/nope"), Op("remove", ""), Op("add", "/list/9", 1), Op("add", "/list/01", 1),
        Op("replace", "/list/-", 1), Op("add", "/n/x", 1), Op("add", "no-slash", 1), Op("add", "/list/0/deep", 1),
        Op("add", "/missing/x", 1), Op("add", "/x"), Op("add", "/list/٣", 1),
    ],
)  # fmt: skip
def test_an_operation_that_does_not_fit_is_refused(op: Op) -> None:
    with pytest.raises(PatchError):
        apply({"list": [1], "n": 5}, [op])


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'[{"op":"move","from":"/a","path":"/b"}]', b'[{"op":"test","path":"","value":1}]']
)
def test_operations_we_never_make_are_refused(data: bytes) -> None:
    with pytest.raises(PatchError):
        decode_ops(data)


def test_pointers_escape_and_unescape() -> None:
    path = ("a/b", "m~n", 3, "")
    assert parts_of(pointer(path)) == ["a/b", "m~n", "3", ""]
