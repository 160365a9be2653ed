"""The instructions of a Dockerfile: enough of its syntax for ours, and an error for what is not known."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

KNOWN: Final = frozenset(
    {"ARG", "FROM", "RUN", "COPY", "ENV", "WORKDIR", "LABEL", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
)


@dataclass(frozen=True)
class Instruction:
    """One instruction: its word, its options (`--from=…`), and the rest as it stands."""

    word: str
    options: dict[str, str]
    rest: str


@dataclass
class Stage:
    """One stage: what it stands on, and what is done."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def words(self, word: str) -> list[Instruction]:
        """Its instructions of one kind."""
        return [found for found in self.instructions if found.word == word]

    @property
    def environment(self) -> dict[str, str]:
        """The variables it sets."""
        pairs = [pair for found in self.words("ENV") for pair in shlex.split(found.rest)]
        return dict(pair.split("=", 1) for pair in pairs)

    def command(self, word: str) -> list[str]:
        """The words of its last ENTRYPOINT or CMD."""
        return list(json.loads(self.words(word)[-1].rest))


def arguments(path: Path) -> dict[str, str]:
    """The arguments before the first stage, with their defaults."""
    found: dict[str, str] = {}
    for instruction in _instructions(path):
        if instruction.word == "FROM":
            break
        name, _, value = instruction.rest.partition("=")
        found[name] = value
    return found


def stages(path: Path) -> dict[str, Stage]:
    """The stages, by name, in their order."""
    found: dict[str, Stage] = {}
    current: Stage | None = None
    for instruction in _instructions(path):
        if instruction.word == "FROM":
            match = re.fullmatch(r"(\S+) AS (\w+)", instruction.rest)
            assert match is not None, f"a stage without a name: {instruction.rest}"
            current = found[match[2]] = Stage(match[2], match[1])
        elif current is not None:
            current.instructions.append(instruction)
    return found


def _instructions(path: Path) -> list[Instruction]:
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    found = []
    for line in whole:
        word, _, rest = line.partition(" ")
        assert word in KNOWN, f"not known: {line}"
        options: dict[str, str] = {}
        while match := re.match(r"--([\w-]+)=(\S+)\s+", rest.lstrip()):
            options[match[1]] = match[2]
            rest = rest.lstrip()[match.end() :]
        found.append(Instruction(word, options, rest.strip()))
    return found
