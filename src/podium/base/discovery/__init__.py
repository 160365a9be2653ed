"""Discovery: who is where, and what all daemons must agree on. Port, records and implementations."""

from podium.base.discovery.port import (
    AgentRecord as AgentRecord,
)
from podium.base.discovery.port import (
    Claim as Claim,
)
from podium.base.discovery.port import (
    ConfigRecord as ConfigRecord,
)
from podium.base.discovery.port import (
    CoordinatorRecord as CoordinatorRecord,
)
from podium.base.discovery.port import (
    Discovery as Discovery,
)
from podium.base.discovery.port import (
    DiscoveryUnavailableError as DiscoveryUnavailableError,
)
from podium.base.discovery.port import (
    InstanceFilter as InstanceFilter,
)
from podium.base.discovery.port import (
    InstanceRecord as InstanceRecord,
)
from podium.base.discovery.port import (
    KeyRecord as KeyRecord,
)
from podium.base.discovery.port import (
    Lease as Lease,
)
from podium.base.discovery.port import (
    Notice as Notice,
)
from podium.base.discovery.port import (
    SecretsRecord as SecretsRecord,
)
from podium.base.discovery.port import (
    Subscription as Subscription,
)
