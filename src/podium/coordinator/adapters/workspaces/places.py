"""Where versioned workspaces lie below the data directory.

```
agents/{agent_id}/workspace     where the agent sees its files: the mount point
agents/{agent_id}/chronicle/    the workspace's own directory (the layout is Chronicle's)
agents/{agent_id}/.beginning    while a new one is being made: what is there is made anew
chronicle/pools/{tenant}/       contents, stored once for all agents of a tenant
chronicle/where                 the path of the data directory when it was last used
chronicle/daemon/               the supervisor's socket and notes
chronicle/trial/                a workspace that is mounted for a moment at start, to see what the host can do
```
"""

from pathlib import Path
from typing import Final

WORKSPACE_NAME: Final = "workspace"
STORE_NAME: Final = "chronicle"
BEGINNING_NAME: Final = ".beginning"


class Places:
    """Paths of one data directory."""

    def __init__(self, data: Path) -> None:
        # Mounts are listed by their real paths.
        self.data = data.resolve()
        self.agents = self.data / "agents"
        self.daemon = self.data / "chronicle" / "daemon"
        self.where = self.data / "chronicle" / "where"
        self.pools = self.data / "chronicle" / "pools"
        self.trial = self.data / "chronicle" / "trial"

    def agent(self, agent_id: str) -> Path:
        """Everything of one agent."""
        return self.agents / agent_id

    def mountpoint(self, agent_id: str) -> Path:
        """Where the agent sees its files."""
        return self.agent(agent_id) / WORKSPACE_NAME

    def store(self, agent_id: str) -> Path:
        """The workspace's own directory."""
        return self.agent(agent_id) / STORE_NAME

    def beginning(self, agent_id: str) -> Path:
        """There while a new workspace is being made."""
        return self.agent(agent_id) / BEGINNING_NAME

    def pool(self, tenant_id: str) -> Path:
        """Contents of a tenant."""
        return self.pools / tenant_id
