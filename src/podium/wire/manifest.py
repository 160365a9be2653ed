"""`podium.toml`: what a bundle says about itself. Unknown keys are refused with the nearest known one named."""

import difflib
import re
import tomllib
from pathlib import PurePosixPath
from typing import Any, Final, Literal

import msgspec

from podium.wire.ids import is_agent_type
from podium.wire.refs import Version
from podium.wire.units import parse_duration_ms, parse_money, parse_size

MANIFEST_NAME: Final = "podium.toml"
"""Name of the manifest at the root of a bundle."""

MANIFEST_MAX_BYTES: Final = 256 * 1024
"""A larger manifest is refused unread."""

_TYPESCRIPT_ENTRY = re.compile(r"(?P<file>.+\.(ts|tsx|js|mjs))(:[A-Za-z_$][\w$]*)?", re.ASCII | re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_HOST = re.compile(r"(\*\.(?=[^.:]+\.))?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?", re.ASCII | re.IGNORECASE)
_PYTHON_ENTRY = re.compile(r"[A-Za-z_][\w]*(\.[A-Za-z_][\w]*)*:[A-Za-z_][\w]*", re.ASCII)


class ManifestError(ValueError):
    """The manifest is refused; the message names the key and says what to write."""


Durability = Literal["default", "sync"]
"""What losing a host costs. `default`: the last one or two seconds. `sync`: nothing of what was acknowledged or shown, for both wait
until it is replicated."""


class Limits(msgspec.Struct, frozen=True):
    """Per-instance limits. Sizes in bytes, times in milliseconds, `cpu` in cores; `idle_timeout_ms` 0 = never sleep. The budget is the
    agent's, over all its instances; 0 = none."""

    memory: int = 512 * 2**20
    cpu: float = 1.0
    processes: int = 256
    disk: int = 2 * 2**30
    turn_timeout_ms: int = 30 * 60_000
    idle_timeout_ms: int = 15 * 60_000
    durability: Durability = "default"
    budget_micro_dollars: int = 0


class Restart(msgspec.Struct, frozen=True):
    """Restart policy: at most `attempts` restarts in `window_ms`, waiting `backoff_ms`, doubled each time."""

    attempts: int = 3
    window_ms: int = 60_000
    backoff_ms: int = 500


class Manifest(msgspec.Struct, frozen=True):
    """A checked manifest."""

    agent_type: str
    version: str
    runtime: Literal["python", "typescript"]
    entry: str
    description: str = ""
    config: dict[str, Any] = {}
    limits: Limits = Limits()
    preload: bool = True
    restart: Restart = Restart()
    exclude: list[str] = []
    template: str | None = None
    brokered: dict[str, list[str]] = {}
    """Secrets the agent never sees, each with the hosts that may be told it."""


class LimitsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`[limits]` as written, with units; also the `limits` of a create call. What is absent keeps its default."""

    memory: str | None = None
    cpu: float | None = None
    processes: int | None = None
    disk: str | None = None
    turn_timeout: str | None = None
    idle_timeout: str | None = None
    durability: Durability | None = None
    budget: str | None = None


class _AgentTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    version: str
    runtime: Literal["python", "typescript"]
    entry: str
    description: str = ""


class _RestartTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    attempts: int = 3
    window: str = "60s"
    backoff: str = "500ms"


class _ProcessTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    preload: bool = True
    restart: _RestartTable = _RestartTable()


class _WorkspaceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    exclude: list[str] = []
    template: str | None = None


class _SecretTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hosts: list[str]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    agent: _AgentTable
    config: dict[str, Any] = {}
    limits: LimitsTable = LimitsTable()
    process: _ProcessTable = _ProcessTable()
    workspace: _WorkspaceTable = _WorkspaceTable()
    secrets: dict[str, _SecretTable] = {}


_TABLES: Final[dict[str, type[msgspec.Struct]]] = {
    "": _File,
    "agent": _AgentTable,
    "limits": LimitsTable,
    "process": _ProcessTable,
    "process.restart": _RestartTable,
    "workspace": _WorkspaceTable,
}


def parse_manifest(text: bytes) -> Manifest:
    """The manifest in `text`.

    Raises:
        ManifestError: it is no TOML, has an unknown or missing key, or a value that is not allowed.
    """
    if len(text) > MANIFEST_MAX_BYTES:
        raise ManifestError(f"{MANIFEST_NAME} is larger than {MANIFEST_MAX_BYTES} bytes")
    try:
        data = tomllib.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ManifestError(f"{MANIFEST_NAME} is no TOML: {error}") from error
    _refuse_unknown(data)
    try:
        file = msgspec.convert(data, _File)
    except msgspec.ValidationError as error:
        raise ManifestError(f"{MANIFEST_NAME}: {error}") from error
    return _checked(file)


def apply_limits(base: Limits, table: LimitsTable) -> Limits:
    """`base` with what `table` gives put over it.

    Raises:
        ManifestError: a size, duration or number that is not allowed.
    """
    changes: dict[str, Any] = {}
    for key, parse, target in (
        ("memory", parse_size, "memory"),
        ("disk", parse_size, "disk"),
        ("turn_timeout", parse_duration_ms, "turn_timeout_ms"),
        ("idle_timeout", parse_duration_ms, "idle_timeout_ms"),
        ("budget", parse_money, "budget_micro_dollars"),
    ):
        written = getattr(table, key)
        if written is not None:
            changes[target] = _quantity(f"limits.{key}", parse, written)
    if table.cpu is not None:
        changes["cpu"] = table.cpu
    if table.processes is not None:
        changes["processes"] = table.processes
    if table.durability is not None:
        changes["durability"] = table.durability
    limits = msgspec.structs.replace(base, **changes)
    if not 0 < limits.cpu <= 1024 or limits.processes < 1 or limits.memory < 16 * 2**20:
        raise ManifestError("limits: cpu must be above 0, processes at least 1, memory at least 16MiB")
    if limits.turn_timeout_ms < 1:
        raise ManifestError("limits.turn_timeout must be above 0")
    return limits


def _checked(file: _File) -> Manifest:
    agent = file.agent
    if not is_agent_type(agent.type):
        raise ManifestError(f"agent.type {agent.type!r}: use a-z, 0-9 and dashes, at most 63 characters")
    try:
        Version(agent.version)
    except ValueError as error:
        raise ManifestError(f"agent.version: {error}") from error
    _check_entry(agent)
    restart = file.process.restart
    if restart.attempts < 0:
        raise ManifestError("process.restart.attempts must not be negative")
    return Manifest(
        agent_type=agent.type,
        version=agent.version,
        runtime=agent.runtime,
        entry=agent.entry,
        description=agent.description,
        config=file.config,
        limits=apply_limits(Limits(), file.limits),
        preload=file.process.preload,
        restart=Restart(
            restart.attempts,
            _quantity("process.restart.window", parse_duration_ms, restart.window),
            _quantity("process.restart.backoff", parse_duration_ms, restart.backoff),
        ),
        exclude=file.workspace.exclude,
        template=_inside("workspace.template", file.workspace.template),
        brokered={name: _checked_hosts(name, table.hosts) for name, table in file.secrets.items()},
    )


def _checked_hosts(name: str, hosts: list[str]) -> list[str]:
    if not _VARIABLE.fullmatch(name):
        raise ManifestError(f"secrets.{name}: a secret has a name like an environment variable, such as GITHUB_TOKEN")
    if not hosts:
        raise ManifestError(f"secrets.{name}.hosts: name the hosts that may be told the secret")
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ManifestError(
                f'secrets.{name}.hosts: {host!r}: write "api.example.com", "*.example.com" or "api.example.com:8443"'
            )
    return hosts


def _check_entry(agent: _AgentTable) -> None:
    if agent.runtime == "python" and not _PYTHON_ENTRY.fullmatch(agent.entry):
        raise ManifestError(f'agent.entry {agent.entry!r}: write module:attribute, such as "agent:Counter"')
    if agent.runtime == "typescript":
        written = _TYPESCRIPT_ENTRY.fullmatch(agent.entry)
        if written is None:
            raise ManifestError(f'agent.entry {agent.entry!r}: write the path of a module, such as "src/agent.ts"')
        _inside("agent.entry", written["file"])


def _inside(key: str, path: str | None) -> str | None:
    if path is None:
        return None
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or not path:
        raise ManifestError(f"{key} {path!r} must stay inside the bundle")
    return path


def _quantity(key: str, parse: Any, text: str) -> int:
    try:
        return int(parse(text))
    except ValueError as error:
        raise ManifestError(f"{key}: {error}") from error


def _refuse_unknown(data: dict[str, Any]) -> None:
    for name, struct in _TABLES.items():
        table: Any = data
        for part in name.split(".") if name else ():
            table = table.get(part, {}) if isinstance(table, dict) else {}
        if not isinstance(table, dict):
            continue
        known = [field.encode_name for field in msgspec.structs.fields(struct)]
        for key in table:
            if key not in known:
                raise ManifestError(_unknown(f"{name}.{key}" if name else key, key, known))


def _unknown(path: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    return f"{MANIFEST_NAME}: unknown key {path!r}; {hint}"
