"""The versions of the harness's workspace: the same history as on a host, recorded when it is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from podium.testing.errors import AgentHarnessError

if TYPE_CHECKING:
    from chronicle import Workspace

NEEDS_CHRONICLE: Final = "needs a versioned workspace: install podium[chronicle] to have one in the harness"


class HarnessVersions:
    """A `chronicle.Workspace` around the directory `directory`, made when the agent first asks for it.

    What changed is recorded when a turn ends and when something is asked, not at every close of a file: of a file that was
    written twice in between there is one version. Iterations name no turn here.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.directory = root / "tree"
        self.directory.mkdir(parents=True)
        self._workspace: Workspace | None = None

    def record(self) -> None:
        """Records what changed until now; nothing as long as nobody asked for versions."""
        if self._workspace is not None:
            # The tree was written behind the history's back: without this mark, Chronicle compares them.
            (self._root / "clean").unlink(missing_ok=True)
            self._workspace.barrier()

    def answer(self, method: str, params: dict[str, Any], turn_id: str | None) -> Any:
        """The answer to `checkpoint`, `history` or `restore`, as a coordinator gives it.

        Raises:
            AgentHarnessError: Chronicle is not installed, or there is no such moment or path.
        """
        try:
            from chronicle.model.errors import ChronicleError
        except ImportError:
            raise AgentHarnessError(f"{method} {NEEDS_CHRONICLE}") from None
        try:
            workspace = self._opened()
            self.record()
            return _answer(workspace, method, params, turn_id)
        except ImportError:
            raise AgentHarnessError(f"{method} {NEEDS_CHRONICLE}") from None
        except ChronicleError as error:
            raise AgentHarnessError(str(error)) from error

    def close(self) -> None:
        """Closes the history."""
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None

    def _opened(self) -> "Workspace":
        if self._workspace is None:
            from chronicle import Workspace

            aside = self._root.with_name(f"{self._root.name}-aside")
            self.directory.rename(aside)  # a new workspace begins with an empty directory
            self._root.rmdir()
            self._workspace = Workspace.create(self._root)
            aside.rename(self.directory)
        return self._workspace


def _answer(workspace: "Workspace", method: str, params: dict[str, Any], turn_id: str | None) -> Any:
    path = params.get("path") or ""
    match method:
        case "checkpoint":
            label = params.get("label") or ""
            return {"iteration": workspace.checkpoint(label or None, turn_id).iteration, "label": label}
        case "history":
            limit = params.get("limit") or 100
            found = workspace.history(path, limit=limit) if path else workspace.log(limit=limit, newest_first=True)
            return [_shown(iteration) for iteration in found]
        case _:
            wanted = params.get("iteration")
            moment = workspace.moment(wanted if wanted is not None else params.get("label") or "")
            workspace.restore(moment, path)
            return {"iteration": workspace.head}


def _shown(iteration: Any) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(iteration, builtin_types=(bytes,))
    return {
        name: value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        for name, value in fields.items()
    }
