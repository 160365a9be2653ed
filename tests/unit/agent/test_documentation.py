"""What the reference shows works as it is written there, and the public names are those it speaks of."""

import re
from pathlib import Path
from typing import Any

import podium.agent
import podium.testing

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "python-sdk.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


async def test_the_examples_of_the_reference_run() -> None:
    first, migration, test = blocks()
    names: dict[str, Any] = {"__name__": "example"}
    for block in (first, migration, test):
        exec(compile(block, str(PAGE), "exec"), names)
    await names["test_it_counts"]()
    assert names["State"].migrate({"count": 4}, 1) == {"total": 4}


def test_every_method_of_the_context_is_in_the_reference() -> None:
    page = PAGE.read_text()
    public = {name for name in vars(podium.agent.AgentContext) if not name.startswith("_")}
    assert {name for name in public if not re.search(rf"\b{name}\b", page)} == set()


def test_the_public_names_are_pinned() -> None:
    assert sorted(podium.agent.__all__) == [
        "AgentContext", "AgentEntryError", "AgentError", "AgentRequestError", "AgentUsageError", "Answers", "BaseAgent",
        "ChosenOption", "CommandResult", "DeltaState", "MessageHandle", "MigrationError", "PermissionOption", "PlanEntry",
        "Question", "StateAliasError", "StateError", "StateFieldError", "StateValueError", "Turn", "UserMessage",
    ]  # fmt: skip
    assert all(hasattr(podium.agent, name) for name in podium.agent.__all__)
    assert all(hasattr(podium.testing, name) for name in podium.testing.__all__)
