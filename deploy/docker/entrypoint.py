#!/usr/bin/python3 -I
"""Entry point and health check of the image: `podium-image gateway|coordinator|diminuendo|up`, `podium-image health`.

What a container needs besides its environment is decided here: a listener others can reach, a directory, a name that stays with
the data, an address gateways find, a user without rights. Whatever the environment says wins. Only the standard library is used.
"""

import hashlib
import hmac
import http.client
import os
import re
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

PODIUM_UID: Final = 10001
"""User and group of roles that run no agents; the Dockerfile makes them."""

EXIT_USAGE: Final = 64
HEALTH_SECONDS: Final = 4.0
"""One answer to the health check; Docker's own limit is a second more."""

CLUSTER_KEY_CONTEXT: Final = b"podium image: cluster key"


class Role(NamedTuple):
    """What one role runs. `privileged`: as root, since it mounts workspaces and gives agents users of their own."""

    command: tuple[str, ...]
    data: str
    privileged: bool
    ports: tuple[tuple[str, int], ...]
    """The listeners: their variables and defaults. All of them answer when the role is healthy."""


GATEWAY: Final = ("GATEWAY_PORT", 8090)
COORDINATOR: Final = ("COORDINATOR_PORT", 9090)
DIMINUENDO: Final = ("DIMINUENDO_PORT", 8080)

ROLES: Final = {
    "gateway": Role(("podium", "gateway"), "/var/lib/podium", privileged=False, ports=(GATEWAY,)),
    "coordinator": Role(("podium", "coordinator"), "/data", privileged=True, ports=(COORDINATOR,)),
    "diminuendo": Role(("diminuendo", "serve"), "/var/lib/podium", privileged=False, ports=(DIMINUENDO,)),
    "up": Role(("podium", "up"), "/data", privileged=True, ports=(GATEWAY, COORDINATOR, DIMINUENDO)),
}


def environment_of(
    role: str, given: Mapping[str, str], address: Callable[[], str], name: Callable[[Path], str]
) -> dict[str, str]:
    """The environment a role runs in: what was `given`, and defaults that suit a container.

    `address` finds where other containers reach this one, `name` the name that belongs to a data directory; each is
    asked only where it is needed. An empty variable counts as absent, as it does for the daemons.
    """
    data = given.get("PODIUM_DATA") or ROLES[role].data
    made = {"PODIUM_DATA": data, "LOG_FORMAT": "json"}
    if role in ("gateway", "up"):
        made["GATEWAY_HOST"] = "0.0.0.0"  # a container's network is what keeps others out
    if role in ("diminuendo", "up"):
        made["DIMINUENDO_HOST"] = "0.0.0.0"  # it answers to keys and tokens alone
    if role == "diminuendo":
        made["DIMINUENDO_DATA"] = data
    if role in ("coordinator", "up"):
        made["COORDINATOR_HOST"] = "0.0.0.0"  # it answers to the cluster key alone
        if not given.get("COORDINATOR_ID"):
            made["COORDINATOR_ID"] = name(Path(data))
        if not given.get("COORDINATOR_URL"):
            port = given.get(COORDINATOR[0]) or COORDINATOR[1]
            made["COORDINATOR_URL"] = f"http://{address()}:{port}"
    if role == "up" and given.get("SECRETS_KEY") and not given.get("CLUSTER_KEY"):
        made["CLUSTER_KEY"] = cluster_key_of(given["SECRETS_KEY"])
    return {**made, **{variable: value for variable, value in given.items() if value or variable not in made}}


def cluster_key_of(secrets_key: str) -> str:
    """The cluster key of containers that were given the same `SECRETS_KEY` and nothing else to recognize each other by."""
    return hmac.new(secrets_key.encode(), CLUSTER_KEY_CONTEXT, hashlib.sha256).hexdigest()


def name_of_data(data: Path) -> str:
    """The coordinator's name, made once for a data directory and kept in it, whatever container comes to use it."""
    path = data / "coordinator-name"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        name = f"coord-{secrets.token_hex(6)}"
        path.write_text(name + "\n")
        return name


def own_address() -> str:
    """The address other containers reach this one by: the one the default route leaves from. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"  # no network but the loopback
        return str(probe.getsockname()[0])


def role_of(command_line: list[str]) -> str | None:
    """The role in the command line of a container's first process, whatever init runs before it."""
    after = command_line[command_line.index("podium-image") + 1 :] if "podium-image" in command_line else []
    return after[0] if after and after[0] in ROLES else None


def healthy(role: str, given: Mapping[str, str]) -> bool:
    """Whether every listener of a role answers; `up` may be without Diminuendo."""
    absent = DIMINUENDO if role == "up" and given.get("DIMINUENDO_ENABLE", "").lower() in ("false", "0") else None
    ports = [port for port in ROLES[role].ports if port != absent]
    return all(_answers(int(given.get(variable) or default)) for variable, default in ports)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HEALTH_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def run(role: str, arguments: list[str]) -> None:
    """Becomes the role's daemon, without rights it has no use for."""
    what = ROLES[role]
    data = Path(os.environ.get("PODIUM_DATA") or what.data)
    data.mkdir(parents=True, exist_ok=True, mode=0o711 if what.privileged else 0o700)
    environment = environment_of(role, os.environ, own_address, name_of_data)
    if not what.privileged and os.geteuid() == 0:
        os.chown(data, PODIUM_UID, PODIUM_UID)
        os.setgroups([])
        os.setgid(PODIUM_UID)
        os.setuid(PODIUM_UID)
        environment["HOME"] = str(data)
    program = shutil.which(what.command[0], path=environment.get("PATH"))
    if program is None:
        sys.exit(f"{what.command[0]} is not part of this image")
    os.execve(program, [*what.command, *arguments], environment)


def main(words: list[str]) -> int:
    """Runs what the words say; another command than a role runs as it is given, for looking around."""
    match words:
        case ["health", *given]:
            first = Path("/proc/1/cmdline").read_bytes().decode(errors="replace").split("\0")
            first = [Path(word).name for word in first]
            role = given[0] if given else role_of(first)
            return 0 if role in ROLES and healthy(role, os.environ) else 1
        case [role, *arguments] if role in ROLES:
            run(role, arguments)
        case [program, *_] if re.fullmatch(r"[\w./-]+", program) and shutil.which(program):
            os.execvp(program, words)
    sys.stderr.write(f"give one of {', '.join(ROLES)}, or a program of the image\n")
    return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
