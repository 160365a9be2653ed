"""Ids are prefix, dash, 16 base-32 characters; callers' own are checked by the grammar."""

import pytest

from podium.wire.ids import is_agent_id, is_agent_type, is_made_id, is_tenant_id, make_id


def test_an_id_is_its_prefix_and_sixteen_lowercase_base32_characters() -> None:
    made = make_id("inst", bytes(range(10)))
    assert made == "inst-aaaqeayeaudaocaj"
    assert is_made_id("inst", made)
    assert not is_made_id("turn", made)


def test_an_id_takes_exactly_ten_random_bytes() -> None:
    with pytest.raises(ValueError, match="10 random bytes"):
        make_id("turn", b"short")


@pytest.mark.parametrize("text", ["a", "A_b-9", "x" * 64])
def test_agent_ids_given_by_callers_are_accepted(text: str) -> None:
    assert is_agent_id(text)


@pytest.mark.parametrize("text", ["", "x" * 65, "a/b", "..", "a b", "ä", "a\n", "a\0"])
def test_agent_ids_that_could_be_paths_or_worse_are_refused(text: str) -> None:
    assert not is_agent_id(text)


@pytest.mark.parametrize(("text", "good"), [("a", True), ("a-1", True), ("-a", False), ("A", False), ("a" * 64, False)])
def test_agent_types_follow_the_glossary(text: str, good: bool) -> None:
    assert is_agent_type(text) is good


@pytest.mark.parametrize(
    ("text", "good"), [("acme", True), ("a.b_c-d", True), ("", False), ("../x", False), ("a\n", False)]
)
def test_tenant_ids_never_hold_separators(text: str, good: bool) -> None:
    assert is_tenant_id(text) is good
