"""The life of a session, as conversations with its machine."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diminuendo.domain import life
from diminuendo.domain.life import (
    IDLE_MS,
    WAITERS_MAX,
    ActivationFailed,
    Asked,
    Attached,
    Connect,
    Create,
    Created,
    CutTurn,
    Enter,
    IdleAt,
    IdleCheck,
    LetGo,
    Lost,
    Needed,
    Probe,
    Probed,
    Proceed,
    Refuse,
    Resolved,
    SessionLife,
    StillThere,
    Stop,
    Stopped,
    TurnBegan,
    TurnOver,
)
from diminuendo.domain.sessions import MOVES, SETTLED, IllegalMoveError, SessionState, check_move
from tests.playbook import Playbook

S = SessionState
Talk = Playbook[life.Event, life.Decision]


def ready(now_ms: int = 0) -> tuple[SessionLife, Talk]:
    """A session with an instance, `i1`."""
    machine = SessionLife()
    talk: Talk = Playbook(machine.handle)
    _ = talk >> Needed("w1", now_ms) << Enter(S.ACTIVATING, None) << Create()
    _ = talk >> Created("i1") << Enter(S.ACTIVATING, "i1") << Connect("i1")
    _ = talk >> Attached("i1", now_ms) << Enter(S.READY, "i1") << Proceed("w1") << IdleAt(now_ms + IDLE_MS)
    return machine, talk


@pytest.mark.proves("DIM-ONE-ACTIVATION")
def test_however_many_need_an_instance_one_is_made_and_all_proceed() -> None:
    machine = SessionLife()
    talk: Talk = Playbook(machine.handle)
    _ = talk >> Needed("a", 1) << Enter(S.ACTIVATING, None) << Create()
    _ = talk >> Needed("b", 2)
    _ = talk >> Created("i1") << Enter(S.ACTIVATING, "i1") << Connect("i1")
    _ = talk >> Needed("c", 3)
    _ = talk >> Attached("i1", 4) << Enter(S.READY, "i1") << Proceed("a") << Proceed("b") << Proceed("c")
    _ = talk << IdleAt(4 + IDLE_MS)
    _ = talk >> Needed("d", 5) << Proceed("d")
    talk.end()


def test_a_failed_activation_refuses_all_who_waited_and_the_next_one_tries_again() -> None:
    talk: Talk = Playbook(SessionLife().handle)
    _ = talk >> Needed("a", 1) << Enter(S.ACTIVATING, None) << Create()
    _ = talk >> Needed("b", 2)
    _ = talk >> ActivationFailed(None, "down") << Enter(S.ERROR, None)
    _ = talk << Refuse("a", "PODIUM_UNAVAILABLE", "down") << Refuse("b", "PODIUM_UNAVAILABLE", "down")
    _ = talk >> Needed("c", 3) << Enter(S.ACTIVATING, None) << Create()
    talk.end()


def test_an_instance_that_can_not_be_connected_to_is_stopped() -> None:
    talk: Talk = Playbook(SessionLife().handle)
    _ = talk >> Needed("a", 1) << Enter(S.ACTIVATING, None) << Create()
    _ = talk >> Created("i1") << Enter(S.ACTIVATING, "i1") << Connect("i1")
    _ = talk >> ActivationFailed("i1", "no") << Enter(S.ERROR, None) << Refuse("a", "PODIUM_UNAVAILABLE", "no")
    _ = talk << Stop("i1")
    _ = talk >> Stopped("i1")
    talk.end()


def test_the_state_follows_the_turn_and_what_it_asks() -> None:
    _, talk = ready()
    _ = talk >> TurnBegan("t1") << Enter(S.RUNNING, "i1")
    _ = talk >> Asked("r1") << Enter(S.WAITING, "i1")
    _ = talk >> Asked("r2")
    _ = talk >> Resolved("r1")
    _ = talk >> Resolved("r2") << Enter(S.RUNNING, "i1")
    _ = talk >> Asked("r3") << Enter(S.WAITING, "i1")
    _ = talk >> TurnOver(9) << Enter(S.READY, "i1") << IdleAt(9 + IDLE_MS)
    talk.end()


def test_an_idle_session_gives_up_its_instance_and_a_turn_brings_another_one() -> None:
    _, talk = ready(now_ms=100)
    _ = talk >> Needed("w2", 200) << Proceed("w2")
    _ = talk >> IdleCheck(100 + IDLE_MS) << IdleAt(200 + IDLE_MS)
    _ = talk >> IdleCheck(200 + IDLE_MS) << Enter(S.DEACTIVATING, "i1") << Stop("i1")
    _ = talk >> Needed("w3", 201 + IDLE_MS)
    _ = talk >> Stopped("i1") << Enter(S.INACTIVE, None) << Enter(S.ACTIVATING, None) << Create()
    talk.end()


@pytest.mark.parametrize("event", [TurnBegan("t1"), Asked("r1")])
def test_a_session_in_the_middle_of_a_turn_is_never_idle(event: life.Event) -> None:
    machine, _ = ready()
    machine.handle(event)
    assert machine.handle(IdleCheck(10 * IDLE_MS)) == []


def test_a_lost_instance_ends_the_turn_for_the_clients() -> None:
    _, talk = ready()
    _ = talk >> TurnBegan("t1") << Enter(S.RUNNING, "i1")
    _ = talk >> Lost("i0", "an earlier one")
    _ = talk >> Lost("i1", "stopped by somebody") << CutTurn("t1", "instance_lost", "stopped by somebody")
    _ = talk << Enter(S.INACTIVE, None)
    talk.end()


def test_an_instance_that_fell_asleep_leaves_the_session_where_it_is_and_clients_are_told() -> None:
    _, talk = ready()
    _ = talk >> StillThere("i1") << Enter(S.READY, "i1")
    _ = talk >> StillThere("i0")
    talk.end()


def test_letting_go_in_the_middle_of_a_turn_cuts_it_and_stops_the_instance() -> None:
    _, talk = ready()
    _ = talk >> TurnBegan("t1") << Enter(S.RUNNING, "i1")
    _ = talk >> LetGo("archived") << CutTurn("t1", "session_deactivated", "archived")
    _ = talk << Enter(S.DEACTIVATING, "i1") << Stop("i1")
    _ = talk >> Stopped("i1") << Enter(S.INACTIVE, None)
    talk.end()


def test_letting_go_while_the_instance_is_made_stops_it_once_it_is_there() -> None:
    talk: Talk = Playbook(SessionLife().handle)
    _ = talk >> Needed("a", 1) << Enter(S.ACTIVATING, None) << Create()
    _ = talk >> LetGo("deleted") << Refuse("a", "PODIUM_UNAVAILABLE", "deleted") << Enter(S.DEACTIVATING, None)
    _ = talk >> Created("i1") << Stop("i1")
    _ = talk >> Stopped("i1") << Enter(S.INACTIVE, None)
    talk.end()


def test_letting_go_while_the_instance_can_not_be_made_ends_there() -> None:
    machine = SessionLife()
    for event in (Needed("a", 1), LetGo("deleted")):
        machine.handle(event)
    assert machine.handle(ActivationFailed(None, "down")) == [Enter(S.INACTIVE, None)]


def test_only_so_many_wait_for_one_activation() -> None:
    machine = SessionLife()
    for number in range(WAITERS_MAX):
        machine.handle(Needed(str(number), 1))
    (refused,) = machine.handle(Needed("one more", 1))
    assert isinstance(refused, Refuse)
    assert refused.code == "RATE_LIMITED"


# ── after a restart ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.proves("DIM-RECOVERY")
@pytest.mark.parametrize("state", sorted(set(S) - SETTLED - {S.DEACTIVATING}))
def test_a_stale_session_whose_instance_is_alive_is_attached_again_where_its_turn_is(state: SessionState) -> None:
    machine = SessionLife(state, "i1", turn_id="t1", asked=frozenset({"r1"}))
    expected = [Probe("i1")] if state is S.ACTIVATING else [Enter(S.ACTIVATING, "i1"), Probe("i1")]
    assert machine.recover() == expected
    talk: Talk = Playbook(machine.handle)
    _ = talk >> Needed("w", 1)
    _ = talk >> Probed("i1", True) << Connect("i1")
    _ = talk >> Attached("i1", 2) << Enter(S.WAITING, "i1") << Proceed("w")
    _ = talk >> Resolved("r1") << Enter(S.RUNNING, "i1")
    talk.end()


@pytest.mark.proves("DIM-RECOVERY")
def test_a_stale_session_whose_instance_is_gone_is_inactive_and_the_next_turn_activates_it() -> None:
    machine = SessionLife(S.RUNNING, "i1", turn_id="t1")
    machine.recover()
    talk: Talk = Playbook(machine.handle)
    _ = talk >> Probed("i1", False)
    _ = talk << CutTurn("t1", "instance_lost", "the agent's instance ended while nobody was connected to it")
    _ = talk << Enter(S.INACTIVE, None)
    _ = talk >> Needed("w", 1) << Enter(S.ACTIVATING, None) << Create()
    talk.end()


def test_an_activation_that_was_cut_off_before_there_was_an_instance_is_forgotten() -> None:
    assert SessionLife(S.ACTIVATING).recover() == [Enter(S.INACTIVE, None)]
    assert SessionLife(S.DEACTIVATING).recover() == [Enter(S.INACTIVE, None)]


def test_a_deactivation_that_was_cut_off_is_finished() -> None:
    machine = SessionLife(S.DEACTIVATING, "i1")
    assert machine.recover() == [Stop("i1")]
    assert machine.handle(Stopped("i1")) == [Enter(S.INACTIVE, None)]


@pytest.mark.parametrize("state", sorted(SETTLED))
def test_a_settled_session_needs_nothing_after_a_restart(state: SessionState) -> None:
    assert SessionLife(state).recover() == []


# ── whatever comes ───────────────────────────────────────────────────────────────────────────────────────────

INSTANCES = st.sampled_from(["i1", "i2"])
TIMES = st.integers(0, 3 * IDLE_MS)
EVENTS = st.one_of(
    st.builds(Needed, st.just("w"), TIMES),
    st.builds(Created, INSTANCES),
    st.builds(Attached, INSTANCES, TIMES),
    st.builds(ActivationFailed, st.none() | INSTANCES, st.just("no")),
    st.builds(TurnBegan, st.just("t")),
    st.builds(TurnOver, TIMES),
    st.builds(Asked, st.just("r")),
    st.builds(Resolved, st.just("r")),
    st.builds(Lost, INSTANCES, st.just("x")),
    st.builds(StillThere, INSTANCES),
    st.builds(LetGo, st.just("x")),
    st.builds(IdleCheck, TIMES),
    st.builds(Stopped, INSTANCES),
    st.builds(Probed, INSTANCES, st.booleans()),
)


@settings(max_examples=150, deadline=None)
@given(events=st.lists(EVENTS, max_size=25), start=st.sampled_from(sorted(S)), instance=st.none() | INSTANCES)
def test_no_order_of_events_leads_off_the_table_and_everyone_is_answered_once(
    events: list[life.Event], start: SessionState, instance: str | None
) -> None:
    machine = SessionLife(start, instance, "t0")
    decisions = machine.recover()
    asked = 0
    creating = 0
    for event in events:
        if isinstance(event, Created) and creating == 0:
            continue  # nobody reports what was not asked for
        asked += isinstance(event, Needed)
        creating -= isinstance(event, Created) or (isinstance(event, ActivationFailed) and event.instance_id is None)
        creating = max(creating, 0)
        made = machine.handle(event)
        creating += sum(isinstance(decision, Create) for decision in made)
        assert creating <= 1
        decisions += made
    answered = sum(isinstance(decision, Proceed | Refuse) for decision in decisions)
    assert answered + len(machine._waiters) == asked
    if machine.state in SETTLED:
        assert machine.instance_id is None or start in SETTLED


def test_a_move_that_the_table_does_not_know_is_a_mistake_that_is_seen() -> None:
    assert set(MOVES) == set(S)
    with pytest.raises(IllegalMoveError, match="from inactive to ready"):
        check_move(S.INACTIVE, S.READY)
