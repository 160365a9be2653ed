"""Which level of isolation is in force where."""

import itertools
from typing import Any

import pytest

from podium.coordinator.adapters.processes.facts import HostFacts
from podium.coordinator.adapters.processes.levels import IsolationUnavailableError, Plan, choose

ROOT = HostFacts(root=True, namespaces="root", users="mapped", setuid=True)
USER = HostFacts(root=False, namespaces="user", users="own", setuid=False)
FENCING = HostFacts(root=True, namespaces="root", users="mapped", setuid=True, fence=True)
CLOSED = "/root"


def test_root_maps_user_ids_where_it_can_and_changes_them_where_it_can_not() -> None:
    assert choose(None, ROOT, None) == Plan("process", "root", "mapped", "mapped")
    container = HostFacts(root=True, namespaces="", users="", setuid=True)
    assert choose(None, container, None) == Plan("process", "", "setuid", "")


def test_a_sandbox_is_the_default_where_the_host_can_give_one() -> None:
    assert choose(None, FENCING, None) == Plan("sandbox", "root", "mapped", "mapped")
    assert choose("sandbox", FENCING, CLOSED).sandboxed
    assert not choose("process", FENCING, None).sandboxed
    user = HostFacts(root=False, namespaces="user", users="own", setuid=False, fence=True)
    assert choose(None, user, CLOSED) == Plan("sandbox", "user", "", "own")
    without = HostFacts(root=True, namespaces="", users="mapped", setuid=True, fence=True)
    assert choose(None, without, None).level == "process"
    with pytest.raises(IsolationUnavailableError, match="no namespaces"):
        choose("sandbox", without, None)
    refused = HostFacts(True, "root", "mapped", setuid=True, refusals={"landlock and seccomp": "not implemented"})
    with pytest.raises(IsolationUnavailableError, match=r"no Landlock with seccomp \(landlock and seccomp: not"):
        choose("sandbox", refused, None)


def test_an_ordinary_user_gets_process_on_every_host() -> None:
    for namespaces, users in itertools.product(("user", ""), ("own", "")):
        facts = HostFacts(root=False, namespaces=namespaces, users=users, setuid=False)  # type: ignore[arg-type]
        assert choose(None, facts, CLOSED) == Plan("process", namespaces, "", users)  # type: ignore[arg-type]


def test_a_mount_namespace_gets_around_closed_directories_and_nothing_else_does() -> None:
    assert choose("process", ROOT, CLOSED).level == "process"
    without = HostFacts(root=True, namespaces="", users="mapped", setuid=True)
    assert choose(None, without, CLOSED).level == "none"
    with pytest.raises(IsolationUnavailableError, match=CLOSED):
        choose("process", without, CLOSED)


@pytest.mark.proves("ISOLATION-NO-DOWNGRADE")
@pytest.mark.parametrize(
    ("wanted", "facts"),
    [
        ("sandbox", ROOT),
        ("sandbox", USER),
        ("process", HostFacts(root=True, namespaces="root", users="", setuid=False)),
        ("proces", ROOT),
    ],
)
def test_asking_for_what_the_host_can_not_give_is_an_error(wanted: str, facts: HostFacts) -> None:
    with pytest.raises(IsolationUnavailableError, match=f"PODIUM_ISOLATION={wanted}"):
        choose(wanted, facts, None)


@pytest.mark.parametrize("facts", [ROOT, USER])
def test_none_keeps_the_namespaces_that_end_the_tree(facts: HostFacts) -> None:
    plan = choose("none", facts, CLOSED)
    assert (plan.level, plan.namespaces, plan.identity, plan.users, plan.closed) == (
        "none",
        facts.namespaces,
        "",
        "",
        False,
    )


def test_no_plan_runs_an_author_s_code_as_root_at_level_process() -> None:
    kinds: list[Any] = ["root", "user", ""]
    ids: list[Any] = ["mapped", ""]
    for namespaces, users, setuid in itertools.product(kinds, ids, (True, False)):
        facts = HostFacts(root=True, namespaces=namespaces, users=users, setuid=setuid)
        plan = choose(None, facts, None)
        assert plan.level == "none" or plan.identity
