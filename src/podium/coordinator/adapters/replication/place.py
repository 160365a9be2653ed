"""Where replicas lie: `LITESTREAM_REPLICA_URL`, Litestream's own address of a place below it, and the keys of what lies there.

```
claims/{agent_id}/{epoch}               who may write under an epoch: made once, by one coordinator
manifests/{agent_id}/{epoch}-{number}   what belongs together: sealed files, live databases, and what the agent is
sealed/{agent_id}/{sha256}              files that never change
live/{agent_id}/{epoch}-{number}/{name} Litestream's replica of a database that is written
```

Epoch and number have so many digits that they sort as text.
"""

from typing import Literal, NamedTuple
from urllib.parse import quote, urlencode, urlsplit


class ReplicaPlace(NamedTuple):
    """`file`: `root` is a directory. `s3`: `bucket`, and `root` is a prefix in it (perhaps empty); `endpoint` and `region` as of AWS."""

    kind: Literal["file", "s3"]
    root: str
    bucket: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"

    @classmethod
    def parse(cls, url: str, *, endpoint: str | None = None, region: str | None = None) -> "ReplicaPlace":
        """The place a URL names: `file:///directory` or `s3://bucket/prefix`.

        Raises:
            ValueError: it names none; the text says what would. Credentials in a URL are refused: they would be logged.
        """
        parts = urlsplit(url)
        if "@" in parts.netloc or parts.query:
            raise ValueError("no credentials and no options in the address of replicas; set AWS_* instead")
        if parts.scheme == "file" and not parts.netloc and parts.path.strip("/"):
            return cls("file", parts.path.rstrip("/"))
        if parts.scheme == "s3" and parts.netloc:
            return cls("s3", parts.path.strip("/"), parts.netloc, endpoint, region or "us-east-1")
        raise ValueError("replicas lie at file:///directory or s3://bucket/prefix")

    def address(self, key: str) -> str:
        """What Litestream takes for the replica under `key`."""
        if self.kind == "file":
            return f"file://{quote(f'{self.root}/{key}')}"
        path = f"{self.root}/{key}" if self.root else key
        options = {"region": self.region}
        if self.endpoint is not None:
            options |= {"endpoint": self.endpoint, "forcePathStyle": "true"}
        return f"s3://{self.bucket}/{quote(path)}?{urlencode(options)}"


class Generation(NamedTuple):
    """One set of replicas of an agent: under an epoch the first, or one after files were sealed."""

    epoch: int
    number: int

    def __str__(self) -> str:
        return f"{self.epoch:012d}-{self.number:06d}"

    @classmethod
    def of(cls, text: str) -> "Generation":
        """The generation that `text` names.

        Raises:
            ValueError: none.
        """
        epoch, _, number = text.partition("-")
        return cls(int(epoch), int(number))


def claim_key(agent_id: str, epoch: int) -> str:
    """Who may write under an epoch."""
    return f"claims/{agent_id}/{epoch:012d}"


def manifests_prefix(agent_id: str) -> str:
    """All manifests of an agent, in order."""
    return f"manifests/{agent_id}/"


def sealed_key(agent_id: str, digest: str) -> str:
    """A file that never changes."""
    return f"sealed/{agent_id}/{digest}"


def live_prefix(agent_id: str, generation: Generation) -> str:
    """Litestream's replicas of a generation."""
    return f"live/{agent_id}/{generation}/"
