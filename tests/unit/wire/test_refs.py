"""Deployment references and the order of semantic versions."""

import itertools

import pytest

from podium.wire.refs import DeploymentRef, Version, deployment_id, highest_release, parse_ref

ASCENDING = [
    "0.9.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
    "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0",
]  # fmt: skip


def test_precedence_is_that_of_semver_11() -> None:
    for lower, higher in itertools.combinations(ASCENDING, 2):
        assert Version(lower) < Version(higher)
        assert not Version(higher) < Version(lower)


def test_build_metadata_does_not_order() -> None:
    assert Version("1.0.0+a") == Version("1.0.0+b")


@pytest.mark.parametrize(
    "text", ["1", "1.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "v1.0.0", "1.0.0\n", "1.0.0/../x", ""]
)
def test_other_texts_are_no_versions(text: str) -> None:
    with pytest.raises(ValueError, match="semantic version"):
        Version(text)


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("claude-agent:1.0.0@2b795103", DeploymentRef("claude-agent", "1.0.0", "2b795103")),
        ("coding-agent:1.0.0@local", DeploymentRef("coding-agent", "1.0.0", None)),
        ("coding-agent:1.0.0", DeploymentRef("coding-agent", "1.0.0", None)),
        ("coding-agent", DeploymentRef("coding-agent", None, None)),
    ],
)
def test_the_four_ways_to_name_a_deployment(text: str, ref: DeploymentRef) -> None:
    assert parse_ref(text) == ref


@pytest.mark.parametrize(
    "text", ["", "Bad:1.0.0", "a:", "a:1", "a@local", "a:1.0.0@", "a:1.0.0@XYZ", "a:1.0.0@2b79510", "../a"]
)
def test_other_references_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_ref(text)


def test_a_type_alone_means_its_highest_release() -> None:
    assert highest_release(["1.0.0", "1.10.0", "2.0.0-rc.1", "1.9.9"]) == "1.10.0"
    assert highest_release(["2.0.0-rc.1"]) is None


def test_a_deployment_id_carries_the_first_eight_hex_characters() -> None:
    assert deployment_id("claude-agent", "1.0.0", "2b795103" + "0" * 56) == "claude-agent:1.0.0@2b795103"
