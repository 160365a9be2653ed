"""The file and workspace routes of the coordinator, below an instance and below an agent."""

from pathlib import Path
from typing import Final

from podium.base.file_routes import Place, file_endpoints
from podium.base.http import CLUSTER, Endpoint, Param
from podium.base.http.endpoint import Handler
from podium.coordinator.api.files import Files
from podium.coordinator.api.incoming import Inbox
from podium.coordinator.api.lookup import Lookup
from podium.coordinator.api.shelves import Shelves
from podium.coordinator.api.workspaces import WorkspaceRoutes
from podium.wire import rest
from podium.wire.errors import ErrorCode

INCOMING_NAME: Final = "incoming"
"""Directory of bodies that are being received."""

_PLACES: Final = (
    Place("/agent/{instance_id}", "instance_id", Param(str, ErrorCode.INSTANCE_NOT_FOUND), CLUSTER),
    Place("/agents/{agent_id}", "agent_id", Param(rest.AgentId, ErrorCode.AGENT_NOT_FOUND), CLUSTER),
)


def file_routes(lookup: Lookup, directory: Path) -> list[Endpoint]:
    """The routes; bodies are received in a directory inside `directory`."""
    shelves = Shelves(lookup)
    files, workspace = Files(shelves, Inbox(directory / INCOMING_NAME)), WorkspaceRoutes(shelves)

    def handler(name: str) -> Handler:
        found: Handler = getattr(files, name, None) or getattr(workspace, name)
        return found

    return [endpoint for place in _PLACES for endpoint in file_endpoints(place, handler)]
