"""Writes `spec/state/*.jsonl`: random programs of mutations with the operations and the state they lead to.

Every SDK replays them: perform the steps on its delta state, compare operations and state. With `--check` only says
whether the files are fresh. The format is described in docs/internals/delta-state.md.
"""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from podium.agent.state import DeltaState
from podium.agent.state.journal import Journal
from podium.agent.state.root import begin_recording, restored

DIRECTORY = Path(__file__).parent.parent / "spec" / "state"
FILES = {
    "scalars.jsonl": 11,
    "lists.jsonl": 22,
    "tables.jsonl": 33,
    "sets.jsonl": 44,
    "mixed.jsonl": 55,
    "lengths.jsonl": 66,
}
"""File → seed of its programs."""

PROGRAMS = 40
STEPS = 25

KEYS = ["a", "b", "c", "a/b", "m~n", "", "ключ", "~1", "😀"]
SCALARS: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -7,
    2**53 - 1,
    1.5,
    -2.25,
    1.5e-6,
    2.5e-9,
    "",
    "text",
    "ünï",
    "日本",
    "a/b",
    '"\n\x01',
]
WORDS = ["ant", "bee", "cat", "dog", "Ünï", "emu"]
ELEMENTS: list[Any] = [*WORDS, "\uff5e", "😀", None, 10, 9, 2.5, -1]
"""Of sets. The two strings that are no words are in another order by UTF-16 units than by code points."""
BEFORE: dict[str, Any] = {"number": 0, "text": "", "items": [], "table": {}, "tags": []}

Step = dict[str, Any]


class ProgramState(DeltaState):
    """The state every program works on."""

    number: float = 0
    text: str = ""
    items: list[Any] = []
    table: dict[str, Any] = {}
    tags: set[Any] = set()


def perform(state: ProgramState, step: Step) -> None:
    """Does one step: `do` names it, `at` is the path of the container, the rest are its arguments."""
    _ACTS[step["do"]](_at(state, step["at"]), step)


def run(before: dict[str, Any], batches: list[list[Step]]) -> tuple[list[list[Any]], dict[str, Any]]:
    """The operations of every batch of steps, and the state after the last."""
    state, journal = restored(ProgramState, msgspec.json.decode(msgspec.json.encode(before))), Journal()
    begin_recording(state, journal)
    ops: list[list[Any]] = []
    for batch in batches:
        for step in batch:
            perform(state, step)
        ops.append([op for piece in journal.take() for op in json.loads(piece)])
    return ops, state.to_dict()


def drawn(lots: random.Random, about: str, name: str) -> dict[str, Any]:
    """A program, with its operations and the state after it. `about` is the name of a file without its ending."""
    batches = _program(lots, about)
    ops, after = run(BEFORE, batches)
    return {"name": name, "before": BEFORE, "steps": batches, "ops": ops, "after": after}


def rendered() -> dict[Path, str]:
    """Path → text of every file as it should be."""
    texts = {}
    for name, seed in FILES.items():
        lots = random.Random(seed)
        lines = []
        about = name.removesuffix(".jsonl")
        for number in range(PROGRAMS):
            program = drawn(lots, about, f"{about}-{number}")
            lines.append(json.dumps(program, ensure_ascii=False, separators=(",", ":")))
        texts[DIRECTORY / name] = "\n".join(lines) + "\n"
    return texts


def stale() -> list[Path]:
    """Files that are missing, different or no longer made."""
    wanted = rendered()
    wrong = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    return wrong + [path for path in sorted(DIRECTORY.glob("*.jsonl")) if path not in wanted]


def main(arguments: list[str]) -> int:
    """Writes, or checks with `--check`; exit code 1 when a check finds something stale."""
    if "--check" in arguments:
        for path in stale():
            print(f"stale: {path.name}; run python tools/state_programs.py", file=sys.stderr)
        return 1 if stale() else 0
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for path, text in rendered().items():
        path.write_text(text)
    return 0


# ── what a step does ─────────────────────────────────────────────────────────────────────────────────────────────


def _at(state: Any, path: list[str | int]) -> Any:
    node = state
    for part in path:
        node = getattr(node, str(part)) if isinstance(node, DeltaState) else node[part]
    return node


def _set(target: Any, step: Step) -> None:
    if isinstance(target, DeltaState):
        setattr(target, step["key"], set(step["value"]) if step["key"] == "tags" else step["value"])
    else:
        target[step["key"]] = step["value"]


def _delete(target: Any, step: Step) -> None:
    if isinstance(target, DeltaState):
        delattr(target, step["key"])
    else:
        del target[step["key"]]


def _splice(target: list[Any], step: Step) -> None:
    target[step["index"] : step["index"] + step["count"]] = step["values"]


_ACTS: dict[str, Callable[[Any, Step], Any]] = {
    "set": _set,
    "delete": _delete,
    "append": lambda target, step: target.append(step["value"]),
    "extend": lambda target, step: target.extend(step["values"]),
    "insert": lambda target, step: target.insert(step["index"], step["value"]),
    "pop": lambda target, _: target.pop(),
    "splice": _splice,
    "sort": lambda target, _: target.sort(),
    "reverse": lambda target, _: target.reverse(),
    "clear": lambda target, _: target.clear(),
    "update": lambda target, step: target.update(step["values"]),
    "add": lambda target, step: target.add(step["value"]),
    "discard": lambda target, step: target.discard(step["value"]),
}


# ── making programs ──────────────────────────────────────────────────────────────────────────────────────────────


def _program(lots: random.Random, about: str) -> list[list[Step]]:
    """Batches of steps; each step is drawn for the state the steps before it lead to."""
    if about == "lengths":
        return [[step] for _ in range(STEPS // 3) for step in _length_steps(lots)]
    state = restored(ProgramState, msgspec.json.decode(msgspec.json.encode(BEFORE)))
    batches: list[list[Step]] = [[]]
    for _ in range(STEPS):
        step = _step(lots, state, about)
        perform(state, json.loads(json.dumps(step)))
        batches[-1].append(step)
        if lots.random() < 0.4:
            batches.append([])
    return [batch for batch in batches if batch]


def _step(lots: random.Random, state: ProgramState, about: str) -> Step:
    kind = lots.choice(["scalars", "lists", "tables", "sets"]) if about == "mixed" else about
    if kind == "scalars":
        return _scalar_step(lots)
    if kind == "sets":
        return _set_step(lots)
    wanted = list if kind == "lists" else dict
    paths = [path for path in _containers(state.to_dict()) if isinstance(_plain_at(state.to_dict(), path), wanted)]
    path = lots.choice([path for path in paths if path and path[0] != "tags"])
    return _list_step(lots, state, path) if kind == "lists" else _table_step(lots, state, path)


def _length_steps(lots: random.Random) -> list[Step]:
    """A list is set, then changed where one replacement of it is about as long as the single operations."""
    if lots.random() < 0.85:
        filler = lots.choice(["x", "é", "日", "😀", "\n", '"'])
        size = round(lots.randrange(24, 44) / len(json.dumps(filler, ensure_ascii=False).encode()[1:-1]))
        values = lots.choice([[0, 1], [0, 1.5e-6], ["a", None], [{}, []]])
        act: Step = {"do": "extend", "at": ["items"], "values": values}
        return [{"do": "set", "at": [], "key": "items", "value": [filler * size]}, act]
    moved = lots.randrange(13, 20)
    items = [chr(ord("a") + (n + 1) % moved) for n in range(moved)] + ["z" * 800]
    return [{"do": "set", "at": [], "key": "items", "value": items}, {"do": "sort", "at": ["items"]}]


def _scalar_step(lots: random.Random) -> Step:
    key = lots.choice(["number", "text"])
    value = lots.choice([0, 1, 2, 2.5, -1]) if key == "number" else lots.choice(WORDS)
    return {"do": "set", "at": [], "key": key, "value": value}


def _set_step(lots: random.Random) -> Step:
    if lots.random() < 0.1:
        value = [element for element in ELEMENTS if lots.random() < 0.25]
        return {"do": "set", "at": [], "key": "tags", "value": value}
    do = lots.choice(["add", "add", "add", "discard", "clear"])
    return {"do": do, "at": ["tags"]} if do == "clear" else {"do": do, "at": ["tags"], "value": lots.choice(ELEMENTS)}


def _list_step(lots: random.Random, state: ProgramState, path: list[Any]) -> Step:
    target = _plain_at(state.to_dict(), path)
    size = len(target)
    step: Step = {"do": lots.choice(["append", "append", "extend", "insert", "splice", "reverse"]), "at": path}
    if size:
        step["do"] = lots.choice([step["do"], "set", "delete", "pop"])
    if lots.random() < 0.05:
        step["do"] = "clear"
    elif all(type(item) is str and item.isascii() for item in target) and lots.random() < 0.2:
        step["do"] = "sort"
    arguments: dict[str, Callable[[], Step]] = {
        "append": lambda: {"value": _value(lots)},
        "extend": lambda: {"values": [_value(lots) for _ in range(lots.randrange(4))]},
        "insert": lambda: {"index": lots.randrange(size + 1), "value": _value(lots)},
        "splice": lambda: {
            "index": (index := lots.randrange(size + 1)),
            "count": lots.randrange(size - index + 1),
            "values": [_value(lots) for _ in range(lots.randrange(3))],
        },
        "set": lambda: {"key": lots.randrange(size), "value": _value(lots)},
        "delete": lambda: {"key": lots.randrange(size)},
    }
    return {**step, **arguments.get(step["do"], dict)()}


def _table_step(lots: random.Random, state: ProgramState, path: list[Any]) -> Step:
    target = _plain_at(state.to_dict(), path)
    do = lots.choice(["set", "set", "set", "update", "delete" if target else "set"])
    if lots.random() < 0.05:
        do = "clear"
    arguments: dict[str, Callable[[], Step]] = {
        "set": lambda: {"key": lots.choice(KEYS), "value": _value(lots)},
        "update": lambda: {"values": {lots.choice(KEYS): _value(lots) for _ in range(lots.randrange(4))}},
        "delete": lambda: {"key": lots.choice(sorted(target))},
    }
    return {"do": do, "at": path, **arguments.get(do, dict)()}


def _value(lots: random.Random, depth: int = 0) -> Any:
    kind = lots.randrange(6 if depth < 2 else 4)
    if kind == 4:
        return [_value(lots, depth + 1) for _ in range(lots.randrange(3))]
    if kind == 5:
        return {lots.choice(KEYS): _value(lots, depth + 1) for _ in range(lots.randrange(3))}
    return lots.choice(SCALARS if kind else WORDS)


def _containers(document: Any, path: tuple[Any, ...] = ()) -> list[list[Any]]:
    found = [list(path)]
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, child in items:
        if isinstance(child, (list, dict)):
            found += _containers(child, (*path, key))
    return found


def _plain_at(document: Any, path: list[Any]) -> Any:
    for part in path:
        document = document[part]
    return document


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
