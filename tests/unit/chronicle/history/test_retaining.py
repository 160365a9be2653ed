"""Which contents a policy still needs, in a history."""

import pytest

from chronicle.layout import Retention
from chronicle.model.errors import IterationNotFoundError
from chronicle.store.history import History
from tests.unit.chronicle.history.trees import Teller, digest


def live(history: History, policy: Retention, now_ms: int = 0) -> set[bytes]:
    return set(history.live_digests(policy, now_ms))


def digests(*contents: bytes) -> set[bytes]:
    return {digest(content) for content in contents}


def test_by_default_everything_stays(history: History, teller: Teller) -> None:
    for content in (b"1", b"2"):
        teller.write(b"x", content)
    teller.delete(b"x")
    assert live(history, Retention()) == digests(b"1", b"2")


@pytest.mark.parametrize("sealed", [False, True])
def test_of_the_last_iterations_stays_what_was_readable_then(history: History, teller: Teller, sealed: bool) -> None:
    teller.write(b"old", b"old")  # 1
    teller.write(b"x", b"1")  # 2
    teller.write(b"x", b"2")  # 3
    if sealed:
        history.seal()
    teller.write(b"gone", b"gone")  # 4
    teller.delete(b"gone")  # 5
    teller.write(b"x", b"3")  # 6
    assert live(history, Retention(last=1)) == digests(b"old", b"3")
    assert live(history, Retention(last=2)) == digests(b"old", b"2", b"3")
    assert live(history, Retention(last=3)) == digests(b"old", b"2", b"3", b"gone")
    kept = [n for n in range(1, 7) if history.is_kept(n, Retention(last=2), 0)]
    assert kept == [1, 3, 6]


def test_what_is_young_enough_stays(history: History, teller: Teller) -> None:
    for content in (b"1", b"2", b"3"):
        teller.write(b"x", content)  # at 2, 3 and 4 seconds
    assert live(history, Retention(within_s=10), now_ms=13_000) == digests(b"2", b"3")
    assert live(history, Retention(within_s=10), now_ms=99_000) == digests(b"3")


def test_what_a_checkpoint_shows_stays(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    teller.write(b"gone", b"gone")
    teller.checkpoint("here")
    teller.delete(b"gone")
    teller.write(b"x", b"2")
    history.seal()
    teller.write(b"x", b"3")
    assert live(history, Retention(last=1)) == digests(b"3")
    assert live(history, Retention(last=1, checkpoints=True)) == digests(b"1", b"gone", b"3")


def test_a_file_lives_as_long_as_one_of_its_names(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    teller.link(b"x", b"y")
    teller.delete(b"x")
    teller.rename(b"y", b"z")
    assert live(history, Retention(last=1)) == digests(b"1")
    teller.write(b"w", b"2")
    teller.rename(b"w", b"z")
    teller.mkdir(b"d")
    assert live(history, Retention(last=1)) == digests(b"2")


def test_only_iterations_that_exist_are_kept_or_not(history: History) -> None:
    with pytest.raises(IterationNotFoundError):
        history.is_kept(3, Retention(last=1), 0)


@pytest.mark.parametrize("sealed", [False, True])
def test_of_the_newest_contents_stays_what_fits_and_always_what_is_there_now(
    history: History, teller: Teller, sealed: bool
) -> None:
    teller.write(b"old", b"o" * 100)  # 1
    teller.write(b"x", b"1" * 10)  # 2
    teller.write(b"x", b"2" * 20)  # 3
    if sealed:
        history.seal()
    teller.chmod(b"x", 0o100755)  # 4: no content of its own
    teller.write(b"x", b"3" * 30)  # 5
    everything = digests(b"o" * 100, b"1" * 10, b"2" * 20, b"3" * 30)
    assert live(history, Retention(history_bytes=1000)) == everything
    assert live(history, Retention(history_bytes=160)) == everything
    assert live(history, Retention(history_bytes=159)) == everything, "what was current when the newest that fit came"
    assert live(history, Retention(history_bytes=59)) == everything - digests(b"1" * 10)
    assert live(history, Retention(history_bytes=29)) == digests(b"o" * 100, b"3" * 30)
    assert live(history, Retention(history_bytes=0)) == digests(b"o" * 100, b"3" * 30)
    assert live(history, Retention(last=1, history_bytes=1000)) == digests(b"o" * 100, b"3" * 30)
