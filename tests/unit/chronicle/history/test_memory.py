"""What is remembered of what was used lately."""

from chronicle.store.history.memory import Memory


def test_what_was_used_last_is_remembered_and_no_more_than_twice_as_much() -> None:
    memory: Memory[int, int] = Memory(10)
    for number in range(1000):
        memory.put(number, number)
        memory.get(0, -1)
    assert len(memory) <= 22
    assert memory.get(0, -1) == 0
    assert [memory.get(number, -1) for number in range(990, 1000)] == list(range(990, 1000))
    assert memory.get(500, -1) == -1


def test_what_is_put_anew_counts() -> None:
    memory: Memory[str, int] = Memory(1)
    for value in (1, 2):
        memory.put("a", value)
        memory.put("b", 0)
        memory.put("c", 0)
        memory.put("a", value)
    assert memory.get("a", -1) == 2


def test_everything_can_be_forgotten() -> None:
    memory: Memory[str, int] = Memory(5)
    memory.put("a", 1)
    memory.forget()
    assert (memory.get("a", -1), len(memory)) == (-1, 0)
