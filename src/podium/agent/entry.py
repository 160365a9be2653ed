"""Finding the author's agent: the manifest's `entry` becomes something that makes an agent."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from podium.agent.base_agent import BaseAgent
from podium.agent.errors import AgentEntryError
from podium.agent.state.root import prepare_classes

AgentFactory = Callable[[dict[str, Any]], BaseAgent]
"""Makes the agent of one instance from its configuration."""


def load(entry: str, directory: str | Path) -> AgentFactory:
    """Imports `module:attribute` from `directory` and returns what makes agents.

    The attribute is a class derived from `BaseAgent`, or a function taking the configuration (or nothing) and returning
    an agent. `directory` comes first on the import path, and stays there for imports made later.

    Raises:
        AgentEntryError: there is no such module or attribute, importing it failed, it makes no agent, or a state class
            can't be.
    """
    module_name, colon, attribute = entry.partition(":")
    if not (module_name and colon and attribute):
        raise AgentEntryError(f"entry {entry!r}: write module:attribute, such as 'agent:Counter'")
    where = str(Path(directory).resolve())
    if where not in sys.path:
        sys.path.insert(0, where)
    importlib.invalidate_caches()
    factory = _factory(entry, _attribute(entry, _imported(entry, module_name, where), attribute))
    try:
        prepare_classes()
    except TypeError as error:
        raise AgentEntryError(f"entry {entry!r}: a field of its state: {error}") from error
    return factory


def factory_of(made_by: Any) -> AgentFactory:
    """The factory behind a class or function, as `load` finds them.

    Raises:
        AgentEntryError: it is neither.
    """
    return _factory(getattr(made_by, "__name__", repr(made_by)), made_by)


def _imported(entry: str, name: str, where: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise AgentEntryError(f"entry {entry!r}: there is no module {error.name!r} in {where}") from error
        raise AgentEntryError(
            f"entry {entry!r}: importing {name!r} failed: {error}; is it in requirements.txt or pyproject.toml?"
        ) from error
    except (Exception, SystemExit) as error:  # the author's module may raise anything
        raise AgentEntryError(f"entry {entry!r}: importing {name!r} failed: {type(error).__name__}: {error}") from error


def _attribute(entry: str, module: Any, attribute: str) -> Any:
    try:
        return getattr(module, attribute)
    except AttributeError:
        agents = [
            name
            for name, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, BaseAgent) and value is not BaseAgent
        ]
        hint = f"; it has {', '.join(agents)}" if agents else ""
        raise AgentEntryError(f"entry {entry!r}: module {module.__name__!r} has no {attribute!r}{hint}") from None


def _factory(entry: str, made_by: Any) -> AgentFactory:
    if inspect.isclass(made_by) and not issubclass(made_by, BaseAgent):
        raise AgentEntryError(f"entry {entry!r}: {made_by.__name__} is not derived from podium.agent.BaseAgent")
    if not callable(made_by):
        raise AgentEntryError(f"entry {entry!r}: {type(made_by).__name__} is neither a class nor a function")
    takes_config = _takes_argument(made_by)

    def make(config: dict[str, Any]) -> BaseAgent:
        agent = made_by(config) if takes_config else made_by()
        if not isinstance(agent, BaseAgent):
            raise AgentEntryError(f"entry {entry!r}: it made a {type(agent).__name__}, not a BaseAgent")
        return agent

    return make


def _takes_argument(made_by: Any) -> bool:
    try:
        parameters = inspect.signature(made_by).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.VAR_POSITIONAL)
        for parameter in parameters
    )
