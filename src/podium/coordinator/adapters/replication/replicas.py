"""Replicas of agents: claimed by epoch, attached while an agent is awake, restored on another host.

A database consists of a live file and of sealed ones beside it (other `segment-*.db`) that never change. Sealed files are stored once,
by their hash; the live one is Litestream's. A *generation* ties them together: its manifest is written when all of it is in the
replica, so that the newest manifest always names something whole. Sealing makes the next generation; an agent that sleeps and wakes
goes on in the same.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
import shutil
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

import msgspec

from podium.base.objects import ObjectExistsError, ObjectMissingError, ObjectStore, ObjectStoreUnavailableError
from podium.coordinator.adapters.replication.litestream import Litestream, ReplicaUnavailableError, restore_database
from podium.coordinator.adapters.replication.place import (
    Generation,
    ReplicaPlace,
    claim_key,
    live_prefix,
    manifests_prefix,
    sealed_key,
)

_log = logging.getLogger(__name__)

SYNC_SECONDS: Final = 30.0
"""How long the first copy of a database may take to be in the replica, and the last changes of one that is detached."""

RESTORE_SECONDS: Final = 120.0
"""How long one database may take to come back: about 90 MB/s were measured."""

RESTORES_AT_ONCE: Final = 8
"""Databases restored at the same time, of one agent and of all: each is a process that reads some objects."""

KEPT_GENERATIONS: Final = 2
"""The newest and the one before it: whoever is restoring from that can finish."""

_PIECE: Final = 1 << 20


class Live(NamedTuple):
    """A database to replicate: a name that is the same on every host, and its live file here."""

    name: str
    path: Path


class SealedFile(msgspec.Struct, frozen=True):
    """A file that never changes: its name beside the live one, SHA-256 in hex, bytes."""

    file: str
    sha256: str
    size: int


class StoredDatabase(msgspec.Struct, frozen=True):
    """A database in the replica: its name, and its files."""

    name: str
    live: str
    sealed: list[SealedFile]


class Manifest(msgspec.Struct, frozen=True):
    """A generation. `descriptor` is the caller's: what the agent is, sealed where it is secret."""

    agent_id: str
    epoch: int
    number: int
    databases: list[StoredDatabase]
    descriptor: bytes


class Replica(NamedTuple):
    """The newest whole replica of an agent."""

    generation: Generation
    manifest: Manifest


class _Attached(NamedTuple):
    generation: Generation
    databases: tuple[Live, ...]
    identity: tuple[tuple[int, ...], ...]
    descriptor: bytes


class Replicas:
    """The replicas of this host's agents. `owner` is the coordinator's id; `objects` lies at the same place as `place`.

    Calls about one agent wait for each other, except `drop`; those about different agents don't.
    """

    def __init__(
        self, place: ReplicaPlace, objects: ObjectStore, owner: str, program: str, processes: Sequence[Litestream]
    ) -> None:
        self._place = place
        self._objects = objects
        self._owner = owner
        self._program = program
        self._processes = processes
        self._attached: dict[str, _Attached] = {}
        self._last: dict[str, _Attached] = {}
        self._resting: set[str] = set()  # attached, whole in the replica, and unknown to Litestream
        self._restores = asyncio.Semaphore(RESTORES_AT_ONCE)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self) -> None:
        """Starts replicating.

        Raises:
            ReplicaUnavailableError: Litestream does not start.
        """
        await asyncio.gather(*(process.start() for process in self._processes))

    async def stop(self) -> None:
        """Ends replicating; who wants the last changes outside detaches before."""
        await asyncio.gather(*(process.stop() for process in self._processes))

    async def claim(self, agent_id: str, epoch: int) -> bool:
        """Whether this coordinator may write under the epoch: nobody else has it, nor a higher one. The fence of the replica.

        Raises:
            ReplicaUnavailableError: nobody can tell.
        """
        with _problems():
            key = claim_key(agent_id, epoch)
            async for later in self._objects.list(f"claims/{agent_id}/", after=key):
                _log.warning("replica_claimed_later", extra={"agent_id": agent_id, "key": later.key})
                return False
            try:
                await self._objects.put(key, _one(self._owner.encode()), create=True)
            except ObjectExistsError:
                return await self._whole(key) == self._owner.encode()
        return True

    async def claimed(self, agent_id: str) -> int:
        """The highest epoch that anybody claimed; 0: none. Higher than discovery's where that lost its memory.

        Raises:
            ReplicaUnavailableError: nobody can tell.
        """
        prefix = f"claims/{agent_id}/"
        with _problems():
            return max([int(info.key.removeprefix(prefix)) async for info in self._objects.list(prefix)], default=0)

    async def attach(self, agent_id: str, epoch: int, databases: Sequence[Live], descriptor: bytes) -> Generation:
        """Replicates the databases, which exist, from now on. Returns when a generation with all that is in them is whole.

        Attaching what is attached makes a new generation when files were sealed since or the descriptor is another.

        Raises:
            ReplicaUnavailableError: the replica can't be written; nothing is replicated then.
        """
        async with self._turn(agent_id):
            return await self._attach(agent_id, epoch, databases, descriptor)

    async def _attach(self, agent_id: str, epoch: int, databases: Sequence[Live], descriptor: bytes) -> Generation:
        wanted = _Attached(Generation(epoch, 0), tuple(databases), _identity(databases), descriptor)
        known = await self._going_on(agent_id, wanted)
        if known is not None:
            await self._register(agent_id, wanted._replace(generation=known))
            self._last[agent_id] = self._attached[agent_id]
            return known
        made = wanted._replace(generation=Generation(epoch, await self._next_number(agent_id, epoch)))
        await self.drop(agent_id)
        try:
            stored = [await self._store_sealed(agent_id, database) for database in databases]
            await self._register(agent_id, made)
            await self._sync(made, agent_id, SYNC_SECONDS)
            manifest = Manifest(agent_id, epoch, made.generation.number, stored, descriptor)
            with _problems():
                key = manifests_prefix(agent_id) + str(made.generation)
                await self._objects.put(key, _one(msgspec.json.encode(manifest)))
        except BaseException:
            await self.drop(agent_id)
            raise
        self._last[agent_id] = made
        await self._prune(agent_id)
        return made.generation

    async def sync(self, agent_id: str, seconds: float = SYNC_SECONDS) -> None:
        """Returns when everything committed before is in the replica.

        Raises:
            ReplicaUnavailableError: not within `seconds`, or the agent is not attached.
        """
        async with self._turn(agent_id):
            attached = self._attached.get(agent_id)
            if attached is None:
                raise ReplicaUnavailableError("the agent is not replicated now")
            await self._followed(attached, agent_id)
            await self._sync(attached, agent_id, seconds)

    def paths(self, agent_id: str) -> list[Path]:
        """The databases of an agent that is attached; none when it is not."""
        attached = self._attached.get(agent_id)
        return [database.path for database in attached.databases] if attached is not None else []

    async def rest(self, agent_id: str, seconds: float) -> None:
        """Brings the last changes into the replica, then looks at the databases no more: the agent stays attached, and what is
        committed from now on needs `follow`, or `sync`. An agent that is not attached, or rests, is fine.

        Raises:
            ReplicaUnavailableError: not within `seconds`; it is followed on.
        """
        async with self._turn(agent_id):
            attached = self._attached.get(agent_id)
            if attached is None or agent_id in self._resting:
                return
            await self._sync(attached, agent_id, seconds)
            if self._attached.get(agent_id) is not attached:
                return  # it was dropped meanwhile
            self._resting.add(agent_id)
            await self._unregister(attached, agent_id)

    def rests(self, agent_id: str) -> bool:
        """Whether an agent is attached and its databases are not looked at."""
        return agent_id in self._resting

    async def follow(self, agent_id: str) -> None:
        """Replicates an agent that rests from now on, and all that was committed meanwhile. Others are fine.

        Raises:
            ReplicaUnavailableError: nobody answers; it rests still.
        """
        async with self._turn(agent_id):
            attached = self._attached.get(agent_id)
            if attached is not None:
                await self._followed(attached, agent_id)

    async def detach(self, agent_id: str, seconds: float = SYNC_SECONDS) -> None:
        """Brings the last changes into the replica and ends replicating, in any case. What is not attached is fine.

        Raises:
            ReplicaUnavailableError: the last changes are not in the replica.
        """
        async with self._turn(agent_id):
            attached = self._attached.get(agent_id)
            if attached is None:
                return
            try:
                await self._followed(attached, agent_id)
                await self._sync(attached, agent_id, seconds)
            finally:
                await self.drop(agent_id)

    async def drop(self, agent_id: str) -> None:
        """Ends replicating at once, as whoever lost the agent must. Never raises for a replica that is away."""
        attached = self._attached.pop(agent_id, None)
        self._resting.discard(agent_id)
        if attached is not None:
            await self._unregister(attached, agent_id)

    async def newest(self, agent_id: str) -> Replica | None:
        """The newest whole replica; None when there is none.

        Raises:
            ReplicaUnavailableError: nobody can tell.
        """
        with _problems():
            keys = await self._generations(agent_id)
            if not keys:
                return None
            manifest = msgspec.json.decode(await self._whole(manifests_prefix(agent_id) + str(keys[-1])), type=Manifest)
        return Replica(keys[-1], manifest)

    async def restore(self, replica: Replica, directories: Mapping[str, Path]) -> None:
        """Makes the databases of a replica, each in the directory for its name, with the file names it had. None may be there.

        What is half made stays in directories of the caller's choice: restore into a new one, then move it.

        Raises:
            ReplicaUnavailableError: something can't be read, or is damaged.
        """
        databases = replica.manifest.databases
        try:
            async with asyncio.TaskGroup() as group:
                for database in databases:
                    target = directories[database.name] / database.live
                    group.create_task(self._restore(replica, database, target), name=f"restore {database.name}")
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def remove(self, agent_id: str) -> None:
        """Erases all replicas of an agent.

        Raises:
            ReplicaUnavailableError: some may be left; call it again.
        """
        await self.drop(agent_id)
        self._last.pop(agent_id, None)
        with _problems():
            for generation in {*await self._generations(agent_id), *await self._live_generations(agent_id)}:
                await self._erase_live(agent_id, generation)
            for kind in ("manifests", "sealed", "claims"):
                async for info in self._objects.list(f"{kind}/{agent_id}/"):
                    await self._objects.delete(info.key)

    async def _restore(self, replica: Replica, database: StoredDatabase, target: Path) -> None:
        agent_id = replica.manifest.agent_id
        async with self._restores:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for sealed in database.sealed:
                await self._fetch_sealed(agent_id, sealed, target.with_name(sealed.file))
            address = self._place.address(live_prefix(agent_id, replica.generation) + database.name)
            await restore_database(self._program, address, target, RESTORE_SECONDS)
            target.chmod(0o600)

    # ── parts ───────────────────────────────────────────────────────────────────────────────────────────────

    def _process(self, agent_id: str) -> Litestream:
        return self._processes[zlib.crc32(agent_id.encode()) % len(self._processes)]

    def _turn(self, agent_id: str) -> asyncio.Lock:
        """Of what is done with an agent, one thing at a time. Only `drop` waits for nobody."""
        turn = self._turns.get(agent_id)
        if turn is None:
            turn = self._turns[agent_id] = asyncio.Lock()
        return turn

    async def _register(self, agent_id: str, attached: _Attached) -> None:
        self._attached[agent_id] = attached
        prefix = live_prefix(agent_id, attached.generation)
        for database in attached.databases:
            await self._process(agent_id).register(database.path, self._place.address(prefix + database.name))
            if self._attached.get(agent_id) is not attached:  # it was dropped meanwhile: nothing more is written
                await self._unregister(attached, agent_id)
                raise ReplicaUnavailableError("the agent is not replicated any more")
        self._resting.discard(agent_id)

    async def _unregister(self, attached: _Attached, agent_id: str) -> None:
        for database in attached.databases:
            with contextlib.suppress(ReplicaUnavailableError):
                await self._process(agent_id).unregister(database.path)

    async def _followed(self, attached: _Attached, agent_id: str) -> None:
        if agent_id in self._resting:
            await self._register(agent_id, attached)

    async def _sync(self, attached: _Attached, agent_id: str, seconds: float) -> None:
        process = self._process(agent_id)
        await asyncio.gather(*(process.sync(database.path, seconds) for database in attached.databases))

    async def _generations(self, agent_id: str) -> list[Generation]:
        prefix = manifests_prefix(agent_id)
        found = []
        async for info in self._objects.list(prefix):
            with contextlib.suppress(ValueError):
                found.append(Generation.of(info.key.removeprefix(prefix)))
        return found

    async def _going_on(self, agent_id: str, wanted: _Attached) -> Generation | None:
        """The generation that these very files were replicated in before, and can be in again; None: a new one is needed."""
        epoch = wanted.generation.epoch
        before = self._attached.get(agent_id) or self._last.get(agent_id)
        if before is not None:
            same = before._replace(generation=wanted.generation) == wanted and before.generation.epoch == epoch
            return before.generation if same else None
        newest = await self.newest(agent_id)
        if newest is None or newest.generation.epoch != epoch or newest.manifest.descriptor != wanted.descriptor:
            return None
        names = [(each.name, each.live, {file.file for file in each.sealed}) for each in newest.manifest.databases]
        here = [(each.name, each.path.name, {path.name for path in _sealed_beside(each)}) for each in wanted.databases]
        return newest.generation if names == here else None

    async def _next_number(self, agent_id: str, epoch: int) -> int:
        """One above all numbers of the epoch: of those with a manifest, and of one that was begun here and has none."""
        last = self._last.get(agent_id)
        with _problems():
            numbers = [known.number for known in await self._generations(agent_id) if known.epoch == epoch]
        if last is not None and last.generation.epoch == epoch:
            numbers.append(last.generation.number)
        # Not the next one: an attempt that was cut off by a crash left live replicas behind without a manifest.
        return max(numbers, default=0) + 1 + secrets.randbelow(1000)

    async def _store_sealed(self, agent_id: str, database: Live) -> StoredDatabase:
        stored = []
        for path in _sealed_beside(database):
            digest, size = await asyncio.to_thread(_digest, path)
            with _problems(), contextlib.suppress(ObjectExistsError):
                await self._objects.put(sealed_key(agent_id, digest), _pieces(path), create=True)
            stored.append(SealedFile(path.name, digest, size))
        return StoredDatabase(database.name, database.path.name, stored)

    async def _fetch_sealed(self, agent_id: str, sealed: SealedFile, target: Path) -> None:
        digest = hashlib.sha256()
        with _problems(), target.open("xb") as file:
            os.chmod(target, 0o600)
            async for piece in self._objects.get(sealed_key(agent_id, sealed.sha256)):
                digest.update(piece)
                await asyncio.to_thread(file.write, piece)
        if digest.hexdigest() != sealed.sha256:
            raise ReplicaUnavailableError(f"{sealed.file} is damaged in the replica")

    async def _prune(self, agent_id: str) -> None:
        """Removes generations that nobody restores from any more, and the sealed files that only they name. As far as it goes."""
        try:
            with _problems():
                known = await self._generations(agent_id)
                for generation in known[:-KEPT_GENERATIONS]:
                    await self._erase_live(agent_id, generation)
                    await self._objects.delete(manifests_prefix(agent_id) + str(generation))
                kept = known[-KEPT_GENERATIONS:]
                for generation in await self._live_generations(agent_id):
                    if kept and generation < kept[0]:  # nobody finished it, or a host that was late wrote once more
                        await self._erase_live(agent_id, generation)
                if len(known) > KEPT_GENERATIONS:
                    await self._prune_sealed(agent_id, kept)
        except ReplicaUnavailableError as error:
            _log.warning("replica_not_pruned", extra={"agent_id": agent_id, "reason": str(error)})

    async def _prune_sealed(self, agent_id: str, kept: Sequence[Generation]) -> None:
        named = set()
        for generation in kept:
            body = await self._whole(manifests_prefix(agent_id) + str(generation))
            manifest = msgspec.json.decode(body, type=Manifest)
            named |= {sealed.sha256 for database in manifest.databases for sealed in database.sealed}
        async for info in self._objects.list(f"sealed/{agent_id}/"):
            if info.key.rpartition("/")[2] not in named:
                await self._objects.delete(info.key)

    async def _live_generations(self, agent_id: str) -> list[Generation]:
        """The generations of which Litestream wrote anything, with a manifest or without."""
        prefix = f"live/{agent_id}/"
        if self._place.kind == "file":
            names = await asyncio.to_thread(_names, Path(self._place.root) / prefix)
        else:
            names = {info.key.removeprefix(prefix).partition("/")[0] async for info in self._objects.list(prefix)}
        found = []
        for name in sorted(names):
            with contextlib.suppress(ValueError):
                found.append(Generation.of(name))
        return found

    async def _erase_live(self, agent_id: str, generation: Generation) -> None:
        prefix = live_prefix(agent_id, generation)
        if self._place.kind == "file":
            await asyncio.to_thread(shutil.rmtree, Path(self._place.root) / prefix, ignore_errors=True)
            return
        async for info in self._objects.list(prefix):
            await self._objects.delete(info.key)

    async def _whole(self, key: str) -> bytes:
        return b"".join([piece async for piece in self._objects.get(key)])


@contextlib.contextmanager
def _problems() -> Iterator[None]:
    """What goes wrong with objects, as this port's own error."""
    try:
        yield
    except (ObjectStoreUnavailableError, ObjectMissingError, msgspec.DecodeError, OSError) as error:
        raise ReplicaUnavailableError(f"the replica: {error}") from error


def _names(directory: Path) -> set[str]:
    return {place.name for place in directory.iterdir()} if directory.is_dir() else set()


def _sealed_beside(database: Live) -> list[Path]:
    return sorted(path for path in database.path.parent.glob("segment-*.db") if path.name != database.path.name)


def _identity(databases: Sequence[Live]) -> tuple[tuple[int, ...], ...]:
    """What changes when a file is sealed: inodes of the live file and of the sealed ones beside it."""
    return tuple(
        (database.path.stat().st_ino, *sorted(path.stat().st_ino for path in _sealed_beside(database)))
        for database in databases
    )


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
