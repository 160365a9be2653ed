"""A process that owns a process host, as a coordinator does: starts agents with daemons, says so, and waits to be killed.

Arguments: data directory, token its sleepers sleep, JSON of the remaining settings, number of agents, their language.
"""

import asyncio
import json
import sys
from pathlib import Path

from podium.coordinator.adapters.processes import HostSettings
from tests.contract.process_host.deeds import DAEMON
from tests.contract.process_host.parts import Runtime, place


async def main() -> None:
    data, token, options, agents = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
    runtime: Runtime = "typescript" if sys.argv[5] == "typescript" else "python"
    options["without"] = frozenset(options.get("without", []))
    async with place(HostSettings(data=data, **options), data.parent, runtime) as there:
        deployment = there.deployment()
        talks = [await there.start(there.spec(deployment)) for _ in range(agents)]
        for talk in talks:
            await talk.tell(DAEMON % (token, token))
        print(json.dumps({"plan": there.host.plan.namespaces, "level": there.host.isolation}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
