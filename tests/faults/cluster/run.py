"""One run of the fault bench: a cluster, its work, faults one after the other, and what is proved of it afterwards."""

import asyncio
import contextlib
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.faults.cluster import guarantees
from tests.faults.cluster.bench import Bench
from tests.faults.cluster.churn import Churn
from tests.faults.cluster.episodes import Episode, Fault
from tests.faults.cluster.evidence import Evidence, kept, read_claims, read_copies, read_journal, read_pulses
from tests.faults.cluster.network import Network
from tests.faults.cluster.workload import Client, agent_code
from tests.system.api import Caller

BACK_SECONDS: Final = 90.0
"""After a fault every client must have had an answer within this; a lost host may cost 15 s, and the machine is busy."""

CATCH_UP_SECONDS: Final = 60.0
"""How long replication may take until it is up to date again, after a fault."""

PAUSE: Final = (2.5, 4.0)
"""Seconds between faults: what was done since the last one is in the replica."""

END_SECONDS: Final = 120.0
"""How long everything that was sent may take to be done, after the last fault."""

CLUSTER_KEY: Final = "cluster-key-of-a-test-0123456789"

KEPT_TEXTS: Final = 5
"""Of so many files of each agent the contents are read; of all the others the size."""

MANIFEST: Final = """
[process]
restart = { attempts = 50, window = "60s", backoff = "20ms" }
"""


@dataclass(frozen=True)
class Load:
    """How much work there is. Every other agent has `durability = "sync"`."""

    agents: int = 4
    clients_each: int = 2
    churns: int = 1


@dataclass
class Report:
    """What a run found and measured. `findings`: what was violated, in words. Times in seconds."""

    seed: int
    episodes: list[Episode] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    recovered: dict[str, list[float]] = field(default_factory=dict)
    silent: dict[str, list[float]] = field(default_factory=dict)
    history_lost: float = 0.0
    ran_twice: float = 0.0
    acked: int = 0
    events: int = 0
    moves: int = 0
    lives: int = 0

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.acked} messages, {self.events} events, {self.moves} moves, {self.lives} lives"
        ]
        lines += [f"  {episode}" for episode in self.episodes]
        for what, times in (("kill to next event", self.recovered), ("longest silence", self.silent)):
            lines += [f"  {what}, {name}: {spread(found)}" for name, found in sorted(times.items())]
        lines.append(f"  history lost before a fault: at most {self.history_lost:.2f} s")
        lines.append(f"  two processes of an agent at once: at most {self.ran_twice:.2f} s")
        return "\n".join([*lines, *(f"  FOUND {found}" for found in self.findings)])


def spread(times: Sequence[float]) -> str:
    """Minimum, median and maximum."""
    return f"{min(times):.1f} / {statistics.median(times):.1f} / {max(times):.1f} s (n={len(times)})"


class Run:
    """A cluster at work. Use it as `async with working(…) as run`."""

    def __init__(self, bench: Bench, load: Load, seed: int, session: aiohttp.ClientSession) -> None:
        self.report = Report(seed)
        self._bench = bench
        self._load = load
        self._lots = random.Random(seed)
        self._session = session
        self._key = ""
        self._agents: dict[str, tuple[str, bool, list[Client]]] = {}
        self._pulse = bench.directory / "pulse"
        self._over = asyncio.Event()
        self._churns: list[Churn] = []
        self._marks: list[float] = []

    async def prepare(self) -> None:
        """Deploys, and makes the agents."""
        self._pulse.mkdir(mode=0o777)
        self._pulse.chmod(0o777)  # every agent has a user id of its own
        self._key = await self._bench.gateway.key("bench")
        calls = self._calls()
        code = agent_code(str(self._pulse))
        deployment = await calls.deploy(self._bench.directory / "agent", "worker", code, extra=MANIFEST)
        urls = [gateway.url for gateway in self._bench.gateways]
        for number in range(self._load.agents):
            is_sync = number % 2 == 1
            limits: dict[str, Any] = {"limits": {"durability": "sync"}} if is_sync else {}
            agent_id = f"{'sync' if is_sync else 'plain'}-{number}"
            made = await calls.create(deployment, agent_id=agent_id, **limits)
            clients = [
                Client(f"c{number}{letter}", urls, self._key, made["instance_id"], self._part())
                for letter in "abcdef"[: self._load.clients_each]
            ]
            self._agents[agent_id] = (made["instance_id"], is_sync, clients)
        self._churns = [
            Churn(f"life-{number}", urls, self._key, deployment, self._part()) for number in range(self._load.churns)
        ]

    def _part(self) -> random.Random:
        return random.Random(self._lots.randrange(2**31))

    def _calls(self) -> Caller:
        return Caller(self._bench.gateway, self._session, self._key)

    @property
    def clients(self) -> list[Client]:
        """All of all agents."""
        return [client for _, _, clients in self._agents.values() for client in clients]

    async def work(self, faults: AsyncIterator[Fault]) -> None:
        """Lets clients talk while the faults happen, and waits until all that was sent is done."""
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(work) for client in self.clients for work in (client.run(), client.insist())]
            talkers = [group.create_task(client.talk(self._over)) for client in self.clients]
            talkers += [group.create_task(churn.live(self._over)) for churn in self._churns]
            try:
                await self._all_answered("the start")
                async for fault in faults:
                    await self._suffer(fault)
                self._over.set()
                _, late = await asyncio.wait(talkers, timeout=END_SECONDS)
                self.report.findings += [f"{len(late)} clients waited for ever"] if late else []
                await self._read_to_the_end()
            finally:
                for task in (*talkers, *readers):
                    task.cancel()

    async def _suffer(self, fault: Fault) -> None:
        print(f"{time.strftime('%H:%M:%S')} {fault.name}", flush=True)
        episode = await fault.happen(self._bench, self._lots, await self._busy())
        self.report.episodes.append(episode)
        await self._bench.complete()
        await self._all_answered(str(episode))
        self._marks.append(time.time())
        await self._caught_up(str(episode))
        await asyncio.sleep(self._lots.uniform(*PAUSE))

    async def _busy(self) -> list[int]:
        """The hosts where the agents are, each as often as it has any."""
        return sorted([await self._home(instance_id) for instance_id, _, _ in self._agents.values()])

    async def _home(self, instance_id: str) -> int:
        async with asyncio.timeout(BACK_SECONDS):
            while True:
                answer = await self._calls()("GET", f"/api/v1/instances/{instance_id}")
                if answer.status == 200 and answer.body["coordinator_id"]:
                    return int(answer.body["coordinator_id"].removeprefix("coord-"))
                await asyncio.sleep(0.2)

    async def _all_answered(self, after: str) -> None:
        """Everyone has had the end of a turn since now."""
        before = {client.name: len(client.ended) for client in self.clients}
        try:
            async with asyncio.timeout(BACK_SECONDS):
                while any(len(client.ended) <= before[client.name] for client in self.clients):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            silent = [client.name for client in self.clients if len(client.ended) <= before[client.name]]
            self.report.findings.append(f"{silent} had no answer within {BACK_SECONDS:.0f} s after {after}")

    async def _caught_up(self, after: str) -> None:
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                while (lag := await self._lag()) > guarantees.HISTORY_SECONDS:
                    await asyncio.sleep(0.5)
        except TimeoutError:
            self.report.findings.append(f"replication is {lag:.1f} s behind, {CATCH_UP_SECONDS:.0f} s after {after}")

    async def _lag(self) -> float:
        lags = []
        for host in self._bench.hosts:
            url = f"http://127.0.0.1:{host.coordinator_port}/metrics"
            headers = {"Authorization": f"Bearer {CLUSTER_KEY}"}
            timeout = aiohttp.ClientTimeout(total=10)
            async with self._session.get(url, headers=headers, timeout=timeout) as answer:
                lines = (await answer.text()).splitlines()
            lags += [float(line.split()[-1]) for line in lines if line.startswith("podium_replication_lag_seconds")]
        assert len(lags) == len(self._bench.hosts), "a coordinator does not tell its lag"
        return max(lags)

    async def _read_to_the_end(self) -> None:
        for agent_id, (instance_id, _, clients) in self._agents.items():
            try:
                async with asyncio.timeout(END_SECONDS):
                    last = await self._at_rest(instance_id)
                    await asyncio.gather(*(client.seen(last) for client in clients))
            except TimeoutError:
                self.report.findings.append(
                    f"{agent_id}: not at rest, or not seen to its end, within {END_SECONDS:.0f} s"
                )

    async def _at_rest(self, instance_id: str) -> int:
        while True:
            answer = await self._calls()("GET", f"/api/v1/instances/{instance_id}")
            info = answer.body
            if answer.status == 200 and info["turn"] is None and info["queue_depth"] == 0:
                return int(info["last_seq"])
            await asyncio.sleep(0.1)

    # ── afterwards ──────────────────────────────────────────────────────────────────────────────────────────

    async def judge(self, keep: Path | None) -> Report:
        """Checks everything; what is to be looked into goes to `keep`."""
        report = self.report
        for agent_id in self._agents:
            evidence = await self._evidence(agent_id)
            if keep is not None:
                kept(evidence, keep)
            report.findings += guarantees.check(evidence, report.episodes)
            self._measure(evidence)
        for churn in self._churns:
            report.findings += await churn.check(self._session)
            report.lives += len(churn.lives)
        return report

    def _measure(self, evidence: Evidence) -> None:
        report = self.report
        report.acked += sum(record["what"] == "acked" for log in evidence.logs.values() for record in log)
        report.events += len(evidence.journal)
        report.moves += len(list(guarantees.takeovers(evidence.claims)))
        report.history_lost = max(report.history_lost, guarantees.history_lost(evidence, report.episodes))
        report.ran_twice = max(report.ran_twice, guarantees.ran_twice(evidence))
        for episode, until in zip(report.episodes, self._marks, strict=False):
            if (seconds := guarantees.recoveries(evidence, episode)) is not None:
                report.recovered.setdefault(episode.name, []).append(seconds)
            if episode.host in (None, guarantees.owner_at(evidence.claims, episode.began)):
                report.silent.setdefault(episode.name, []).append(guarantees.silence(evidence, episode, until))

    async def _evidence(self, agent_id: str) -> Evidence:
        instance_id, is_sync, clients = self._agents[agent_id]
        base = f"/api/v1/instances/{instance_id}"
        calls = self._calls()
        home = await self._home(instance_id)
        return Evidence(
            agent_id,
            is_sync,
            {client.name: client.log for client in clients},
            await asyncio.to_thread(read_journal, self._bench.hosts[home].data / "agents" / agent_id, agent_id),
            (await calls("GET", f"{base}/state")).body["state"],
            await self._files(calls, base),
            await asyncio.to_thread(read_claims, self._bench, agent_id),
            await asyncio.to_thread(read_copies, self._bench, agent_id, home),
            read_pulses(self._pulse / agent_id),
        )

    async def _files(self, calls: Caller, base: str) -> dict[str, tuple[int, str | None]]:
        found: dict[str, tuple[int, str | None]] = {}
        cursor = ""
        while True:
            page = (await calls("GET", f"{base}/files?limit=500{cursor}")).body
            found |= {entry["name"]: (int(entry["size"]), None) for entry in page["entries"]}
            if not page.get("next_cursor"):
                break
            cursor = f"&cursor={page['next_cursor']}"
        for name in self._lots.sample(sorted(found), min(KEPT_TEXTS, len(found))):
            found[name] = (found[name][0], (await calls("GET", f"{base}/files/{name}")).text)
        return found


async def run_bench(
    directory: Path,
    seed: int,
    faults: AsyncIterator[Fault],
    *,
    hosts: int = 3,
    gateways: int = 2,
    load: Load | None = None,
    small_disk: bool = False,
) -> Report:
    """One whole run. `PODIUM_BENCH_KEEP` names a directory for what is worth a look afterwards."""
    keep = os.environ.get("PODIUM_BENCH_KEEP")
    with Network() as network:
        bench = Bench(directory, network, hosts, gateways, small_disk=small_disk)
        try:
            await bench.start()
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                run = Run(bench, load or Load(), seed, session)
                await run.prepare()
                await run.work(faults)
                report = await run.judge(Path(keep) / str(seed) if keep else None)
        finally:
            if keep:
                _keep_logs(bench, Path(keep) / str(seed))
            await asyncio.to_thread(bench.close)
    return report


def _keep_logs(bench: Bench, keep: Path) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    for daemons in (*bench.hosts, *bench.gateways):
        for log in daemons.directory.glob("*.log"):
            with contextlib.suppress(OSError):
                (keep / f"{daemons.directory.name}-{log.name}").write_bytes(log.read_bytes())


async def in_order(faults: Iterable[Fault]) -> AsyncIterator[Fault]:
    """These, one after the other."""
    for fault in faults:
        yield fault


async def at_random(faults: Sequence[Fault], seed: int, seconds: float) -> AsyncIterator[Fault]:
    """Any of these, as long as there are `seconds` left; all of them before one comes again."""
    lots = random.Random(seed)
    end = time.monotonic() + seconds
    while True:
        for fault in lots.sample(faults, len(faults)):
            if time.monotonic() >= end:
                return
            yield fault
