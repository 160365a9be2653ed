"""Finding the author's agent, and saying what is wrong when there is none."""

import sys
from pathlib import Path

import pytest

from podium.agent import AgentEntryError, BaseAgent
from podium.agent.entry import load

SOURCE = """
from podium.agent import BaseAgent

class Made(BaseAgent):
    def __init__(self, config=None):
        self.config = config

class Plain(BaseAgent):
    pass

def build(config):
    return Made({"built": True, **config})

def nothing():
    return 5

number = 5

class Other:
    pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "made_agent.py").write_text(SOURCE)
    (tmp_path / "broken_agent.py").write_text("1 / 0")
    (tmp_path / "exiting_agent.py").write_text("raise SystemExit(2)")
    (tmp_path / "needs_agent.py").write_text("import no_such_library")
    package = tmp_path / "inside" / "deep"
    package.mkdir(parents=True)
    (package / "agent.py").write_text(SOURCE)
    return tmp_path


@pytest.mark.parametrize("entry", ["made_agent:Made", "made_agent:Plain", "made_agent:build", "inside.deep.agent:Made"])
def test_a_class_or_a_function_makes_the_agent(folder: Path, entry: str) -> None:
    agent = load(entry, folder)({"a": 1})
    assert isinstance(agent, BaseAgent)
    if entry.endswith("build"):
        assert vars(agent)["config"] == {"built": True, "a": 1}


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("made_agent", "write module:attribute"),
        ("no_agent:X", "there is no module 'no_agent'"),
        ("inside.no.agent:X", "there is no module 'inside.no'"),
        ("made_agent:Mode", "has no 'Mode'; it has Made, Plain"),
        ("made_agent:number", "neither a class nor a function"),
        ("made_agent:Other", "not derived from"),
        ("broken_agent:X", "ZeroDivisionError"),
        ("exiting_agent:X", "SystemExit"),
        ("needs_agent:X", "no_such_library.*requirements.txt"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, entry: str, why: str) -> None:
    with pytest.raises(AgentEntryError, match=why):
        load(entry, folder)


def test_a_function_that_makes_something_else_is_told_when_it_does(folder: Path) -> None:
    with pytest.raises(AgentEntryError, match="made a int"):
        load("made_agent:nothing", folder)({})
