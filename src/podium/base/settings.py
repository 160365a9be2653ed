"""What can be configured, for both daemons. `docs/reference/configuration.md` is checked against this file."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from podium.base.config import (
    Secret,
    boolean,
    endpoint,
    key_prefix,
    money,
    one_of,
    path,
    paths,
    port,
    positive,
    seconds,
    setting,
    share,
    size,
)
from podium.base.discovery import Discovery
from podium.base.discovery.valkey_location import ValkeyLocation
from podium.base.http.origins import LOCAL_ORIGINS, Origins
from podium.base.objects import ObjectStore
from podium.base.sealing import TEXT_MIN_CHARS
from podium.base.telemetry.settings import TelemetrySettings
from podium.wire.budgets import Allowance

if TYPE_CHECKING:
    from podium.base.objects.s3_settings import S3Settings

VALKEY_SECONDS_MAX: Final = 5.0
"""Half of a lease's life: one call that hangs and one that succeeds fit into it."""

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

EVERY_ADDRESS: Final = ("0.0.0.0", "::", "")
"""Hosts to listen on that are none to call."""

_NEEDS = "{} is missing; `podium up` makes one, elsewhere give at least {} random characters"


@dataclass(frozen=True)
class _Shared(TelemetrySettings):
    """What both daemons read."""

    data: Path = setting("PODIUM_DATA", path, "./.podium", "directory of everything this host keeps")
    environment: str = setting("ENVIRONMENT", str, "development", "first part of the keys in the object store")
    cluster_key: Secret | None = setting(
        "CLUSTER_KEY",
        Secret,
        None,
        "credential gateways and coordinators share; the coordinator's API answers to nothing else",
    )
    secrets_key: Secret | None = setting("SECRETS_KEY", Secret, None, "secrets at rest are sealed under it")
    secrets_key_previous: Secret | None = setting(
        "SECRETS_KEY_PREVIOUS", Secret, None, "the key before the last rotation; what it sealed still opens"
    )
    valkey: ValkeyLocation | None = setting(
        "VALKEY_URL",
        ValkeyLocation.parse,
        None,
        "discovery of a cluster, `valkeys://user:password@host:6379/0`; default: a file of this host",
    )
    valkey_seconds: float = setting(
        "VALKEY_TIMEOUT", seconds, "2s", "limit of one call to it; at most 5s, so that leases outlive a call that fails"
    )
    s3_bucket: str | None = setting(
        "S3_BUCKET", str, None, "object store of a cluster; default: a directory of this host"
    )
    s3_prefix: str | None = setting(
        "S3_PREFIX", key_prefix, None, "what keys in the bucket begin with, followed by a slash"
    )
    s3_endpoint: str | None = setting(
        "AWS_ENDPOINT_URL", endpoint, None, "S3 other than Amazon's (MinIO and others), addressed by path"
    )
    s3_endpoint_only: str | None = setting("AWS_ENDPOINT_URL_S3", endpoint, None, "goes before `AWS_ENDPOINT_URL`")
    s3_region: str | None = setting("AWS_REGION", str, None, "region of the bucket; default: `us-east-1`")
    s3_region_default: str | None = setting("AWS_DEFAULT_REGION", str, None, "region where `AWS_REGION` is not set")
    s3_access_key_id: Secret | None = setting(
        "AWS_ACCESS_KEY_ID", Secret, None, "key for S3; default: the role of the container, web identity or machine"
    )
    s3_secret_access_key: Secret | None = setting("AWS_SECRET_ACCESS_KEY", Secret, None, "the secret of that key")
    s3_session_token: Secret | None = setting("AWS_SESSION_TOKEN", Secret, None, "token of a temporary key")
    tenant_per_day: int | None = setting(
        "BUDGET_TENANT_PER_DAY",
        money,
        None,
        "what all agents of a tenant may spend a day (UTC), such as `20 USD`; default: no limit",
    )
    tenant_per_month: int | None = setting("BUDGET_TENANT_PER_MONTH", money, None, "the same for a month")
    log_level: str = setting(
        "LOG_LEVEL", one_of("debug", "info", "warning", "error"), "info", "least level that is written"
    )
    log_format: str = setting(
        "LOG_FORMAT", one_of("auto", "json", "text"), "auto", "json, or text for people; auto: text on a terminal"
    )

    @property
    def tenant_allowance(self) -> Allowance:
        """What all agents of a tenant may spend, unless something was set for it."""
        return Allowance(self.tenant_per_day, self.tenant_per_month)

    def shared_problems(self) -> list[str]:
        """Mistakes in what both daemons read."""
        found = []
        for variable, value in (("CLUSTER_KEY", self.cluster_key), ("SECRETS_KEY", self.secrets_key)):
            if value is None:
                found.append(_NEEDS.format(variable, TEXT_MIN_CHARS))
            elif len(value.reveal()) < TEXT_MIN_CHARS:
                found.append(f"{variable} needs at least {TEXT_MIN_CHARS} characters")
        if not 0 < self.valkey_seconds <= VALKEY_SECONDS_MAX:
            found.append(f"VALKEY_TIMEOUT is above 0 and at most {VALKEY_SECONDS_MAX:.0f}s")
        if self.valkey is not None and self.s3_bucket is None:
            found.append(
                "VALKEY_URL without S3_BUCKET: the hosts of a cluster would not find each other's deployments; set S3_BUCKET"
            )
        if self.s3_bucket is not None and (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            found.append("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together; set both, or none to use a role")
        return found


@dataclass(frozen=True)
class GatewaySettings(_Shared):
    """Configuration of a gateway."""

    host: str = setting("GATEWAY_HOST", str, "127.0.0.1", "address to listen on")
    port: int = setting("GATEWAY_PORT", port, "8090", "port to listen on; 0: any free one")
    admin_api_key: Secret | None = setting("ADMIN_API_KEY", Secret, None, "the first admin key; makes the others")
    ensemble_url: str | None = setting("ENSEMBLE_URL", str, None, "where `/api/v1/config/models` is asked for")
    messages_per_minute: int = setting(
        "RATE_MESSAGES_PER_MINUTE",
        positive,
        "6000",
        "messages by REST a tenant may send a minute; beyond: 429 `rate_limited`",
    )
    instances_per_tenant: int = setting(
        "QUOTA_INSTANCES", positive, "10000", "instances a tenant may have alive; beyond: 429 `quota_exceeded`"
    )
    deployments_per_tenant: int = setting(
        "QUOTA_DEPLOYMENTS", positive, "1000", "deployments a tenant may have; beyond: 429 `quota_exceeded`"
    )
    connections_per_tenant: int = setting(
        "QUOTA_CONNECTIONS",
        positive,
        "10000",
        "WebSockets a tenant may have open on one gateway; beyond: close code 4429 `quota_exceeded`",
    )
    connections_max: int = setting(
        "GATEWAY_CONNECTIONS", positive, "20000", "WebSockets open at once; beyond: close code 1013"
    )
    origins: Origins = setting(
        "GATEWAY_ORIGINS",
        Origins.parse,
        LOCAL_ORIGINS,
        "origins whose pages may use the API with a key, with commas between; `:*` for any port, `*` for all pages",
    )
    reattach_seconds: float = setting(
        "GATEWAY_REATTACH",
        seconds,
        "60s",
        "how long a connection is kept while its coordinator is away; then close code 1012",
    )
    audit_log: Path | None = setting(
        "AUDIT_LOG", path, None, "a file that administrative actions are also written to; default: the log alone"
    )
    stop_seconds: float = setting("GATEWAY_STOP", seconds, "10s", "how long requests may finish when the gateway stops")

    def problems(self) -> list[str]:
        """Every mistake that is not one of a single variable."""
        found = self.shared_problems()
        if self.host not in LOOPBACK and self.admin_api_key is None:
            found.append("GATEWAY_HOST is not loopback: set ADMIN_API_KEY, nothing listens openly without keys")
        if self.admin_api_key is not None and len(self.admin_api_key.reveal()) < TEXT_MIN_CHARS:
            found.append(f"ADMIN_API_KEY needs at least {TEXT_MIN_CHARS} characters")
        return found


@dataclass(frozen=True)
class CoordinatorSettings(_Shared):
    """Configuration of a coordinator."""

    host: str = setting("COORDINATOR_HOST", str, "127.0.0.1", "address to listen on")
    port: int = setting("COORDINATOR_PORT", port, "9090", "port to listen on; 0: any free one")
    coordinator_id: str | None = setting("COORDINATOR_ID", str, None, "its name; default: `coord-` and the host's name")
    url: str | None = setting("COORDINATOR_URL", str, None, "where gateways reach it; default: from host and port")
    isolation: str | None = setting(
        "PODIUM_ISOLATION",
        one_of("none", "process", "sandbox"),
        None,
        "isolation of agents; default: the best the host can give",
    )
    readable: tuple[Path, ...] = setting(
        "SANDBOX_READABLE",
        paths,
        "",
        "directories, separated by colons, that agents at level `sandbox` may read beside the system's, such as `/data/models`",
    )
    bun: Path | None = setting(
        "PODIUM_BUN",
        path,
        None,
        "the Bun that runs agents in TypeScript; default: the one beside Podium's programs, on `PATH`, or in `.tools/bin`",
    )
    agents_limit: int = setting(
        "AGENTS_LIMIT", positive, "2000", "agents awake at once; beyond: 503 `no_coordinator_available`"
    )
    memory_limit: int | None = setting(
        "AGENTS_MEMORY_LIMIT",
        size,
        None,
        "memory in use on the host beyond which no more agents start; default: 95 % of it",
    )
    disk_reserve: float = setting(
        "DISK_RESERVE",
        share,
        "5%",
        "with less of the disk free, no agents are added: 503 `no_coordinator_available`; 0%: no check",
    )
    write_reserve: float = setting(
        "DISK_WRITE_RESERVE",
        share,
        "2%",
        "with less of the disk free, agents' files can't grow (`ENOSPC`) and messages get 503 `workspace_unavailable`; 0%: no check",
    )
    starts_at_once: int = setting("AGENT_STARTS_AT_ONCE", positive, "16", "processes being started at the same time")
    ready_seconds: float = setting("AGENT_READY", seconds, "60s", "from the start of a process to its `ready`")
    shutdown_seconds: float = setting("AGENT_SHUTDOWN", seconds, "10s", "for `on_shutdown`; then SIGTERM")
    terminate_seconds: float = setting("AGENT_TERMINATE", seconds, "5s", "from SIGTERM to SIGKILL")
    template_idle_seconds: float = setting(
        "TEMPLATE_IDLE", seconds, "10m", "a template without instances is ended after this"
    )
    log_bytes_max: int = setting("AGENT_LOG_SIZE", size, "50MiB", "size of an agent's log; the oldest records go first")
    deployments_cache: int = setting(
        "DEPLOYMENTS_CACHE", size, "20GiB", "unpacked deployments kept on this host; least recently used go first"
    )
    environment_seconds: float = setting(
        "ENVIRONMENT_TIMEOUT", seconds, "10m", "for making the virtual environment of a deployment"
    )
    chronicle: bool = setting(
        "CHRONICLE_ENABLE", boolean, "true", "keep every version of the agents' files; false: plain directories"
    )
    chronicle_backend: str = setting(
        "CHRONICLE_BACKEND",
        one_of("auto", "fuse", "watch", "directory"),
        "auto",
        "how workspaces are kept; auto: fuse where the host can, else watch; fuse: refuse to start instead; "
        "directory: as CHRONICLE_ENABLE=false",
    )
    chronicle_bucket: str | None = setting(
        "CHRONICLE_S3_BUCKET",
        str,
        None,
        "a second tier for contents of files, uploaded in the background; credentials as AWS_*; default: none",
    )
    chronicle_pooled: bool = setting(
        "CHRONICLE_POOLED_CAS",
        boolean,
        "true",
        "contents are stored once for all agents of a tenant; false: for each agent",
    )
    chronicle_linger_seconds: float = setting(
        "CHRONICLE_LINGER", seconds, "30s", "how long the workspace of an agent that went to sleep stays mounted"
    )
    chronicle_keep_awake: str = setting(
        "CHRONICLE_KEEP_AWAKE",
        one_of("off", "auto", "on"),
        "auto",
        "no processor sleeps during a burst of file requests; auto: on hosts with at most 16 processors",
    )
    chronicle_spare: bool = setting(
        "CHRONICLE_SPARE",
        boolean,
        "true",
        "a process for the next workspace that is opened is kept ready for 5 minutes after the last: quicker starts for 8 MiB",
    )
    chronicle_history_bytes: int | None = setting(
        "CHRONICLE_HISTORY_SIZE",
        size,
        None,
        "of each agent's past versions only the newest with so much content stay readable, and what its files hold now; default: all",
    )
    chronicle_collect_seconds: float = setting(
        "CHRONICLE_COLLECT",
        seconds,
        "24h",
        "how often this host gives up contents of files that no agent needs (removed agents, versions beyond "
        "`CHRONICLE_HISTORY_SIZE`), in a process of its own; 0s: never",
    )
    replica_url: str | None = setting(
        "LITESTREAM_REPLICA_URL",
        str,
        None,
        "where agents' databases are replicated, so that other hosts can go on with them: file:///directory or "
        "s3://bucket/prefix; default: nowhere",
    )
    litestream: str | None = setting(
        "LITESTREAM", str, None, "the program litestream; default: beside this Python, else on the PATH"
    )
    litestream_processes: int = setting(
        "LITESTREAM_PROCESSES", positive, "2", "replicating processes; one suits some 150 agents that are awake"
    )
    broker_connections: int = setting(
        "BROKER_CONNECTIONS",
        positive,
        "256",
        "connections of one instance through the credential broker; beyond: 503 from the proxy",
    )
    broker_connect_seconds: float = setting(
        "BROKER_CONNECT",
        seconds,
        "15s",
        "for a connection from the credential broker to a host; then 502 from the proxy",
    )
    broker_silence_seconds: float = setting(
        "BROKER_SILENCE",
        seconds,
        "10m",
        "a connection through the credential broker without a byte for this long is closed",
    )
    metrics_key: Secret | None = setting(
        "METRICS_KEY",
        Secret,
        None,
        "credential that reads `/metrics` and nothing else, for Prometheus; `CLUSTER_KEY` does too",
    )
    drain_seconds: float = setting(
        "COORDINATOR_DRAIN", seconds, "60s", "for running turns when the coordinator is drained; a stop allows less"
    )
    stop_seconds: float = setting(
        "COORDINATOR_STOP", seconds, "25s", "for putting all agents to rest when the coordinator stops"
    )

    @property
    def name(self) -> str:
        """The coordinator's id."""
        return self.coordinator_id or f"coord-{socket.gethostname()}"

    @property
    def keeps_versions(self) -> bool:
        """Whether workspaces have a history."""
        return self.chronicle and self.chronicle_backend != "directory"

    def problems(self) -> list[str]:
        """Every mistake that is not one of a single variable."""
        found = self.shared_problems()
        if self.metrics_key is not None and len(self.metrics_key.reveal()) < TEXT_MIN_CHARS:
            found.append(f"METRICS_KEY needs at least {TEXT_MIN_CHARS} characters")
        if self.valkey is not None and self.host in EVERY_ADDRESS and self.url is None:
            found.append(
                f"COORDINATOR_HOST is {self.host}, which other hosts can't call: set COORDINATOR_URL, where gateways reach this one"
            )
        if self.replica_url is not None and self.keeps_versions and self.chronicle_bucket is None:
            found.append(
                "LITESTREAM_REPLICA_URL without CHRONICLE_S3_BUCKET: other hosts would go on with agents and not with their "
                "files; set CHRONICLE_S3_BUCKET, or CHRONICLE_ENABLE=false"
            )
        return found


def host_memory() -> int:
    """Memory of this host that may be in use, in bytes: all but a twentieth, so that the host itself goes on."""
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 0.95)


def open_discovery(settings: GatewaySettings | CoordinatorSettings) -> Discovery:
    """Discovery as configured: the server `VALKEY_URL` names, else a file of this host. Call it inside the event loop.

    The server is not waited for: calls tell when it can't be reached.

    Raises:
        DiscoveryUnavailableError: the file can't be opened; the message names it.
    """
    if settings.valkey is not None:
        from podium.base.discovery.valkey import ValkeyDiscovery

        return ValkeyDiscovery(settings.valkey, call_seconds=settings.valkey_seconds)
    from podium.base.clock import SystemClock
    from podium.base.discovery.embedded import EmbeddedDiscovery

    settings.data.mkdir(parents=True, exist_ok=True)
    return EmbeddedDiscovery.open(settings.data / "discovery.db", SystemClock())


def open_objects(settings: GatewaySettings | CoordinatorSettings) -> ObjectStore:
    """The object store as configured: a bucket when `S3_BUCKET` names one, else a directory of this host.

    Raises:
        ObjectStoreUnavailableError: the directory can't be used. A bucket is not asked for yet.
    """
    if settings.s3_bucket is None:
        from podium.base.objects.local import LocalObjects

        return LocalObjects(settings.data / "objects")
    from podium.base.clock import SystemClock
    from podium.base.objects.s3 import S3Objects

    bucket = bucket_settings(settings, settings.s3_bucket, settings.s3_prefix or "")
    return S3Objects(bucket, SystemClock(), settings.data / "uploads")


def bucket_settings(settings: GatewaySettings | CoordinatorSettings, bucket: str, prefix: str) -> "S3Settings":
    """How a bucket is reached, with the endpoint, region and credentials of the settings."""
    from podium.base.objects.s3_settings import S3Settings

    return S3Settings(
        bucket=bucket,
        prefix=prefix,
        endpoint=settings.s3_endpoint_only or settings.s3_endpoint,
        region=settings.s3_region or settings.s3_region_default or "us-east-1",
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
        session_token=settings.s3_session_token,
    )
