"""Started by path (`python -I boot.py …`), so that it works in any interpreter: finds the SDK beside itself.

    boot.py serve FD NAME       the launcher and template of a deployment; FD is the control socket
    boot.py run DIRECTORY ENTRY one agent in a fresh interpreter, already closed in
    boot.py under UID VISIBLE COMMAND…   an installer, with few rights, see `dropping`
    boot.py probe               what this host allows, as JSON

The SDK is put at the end of the search path: what a deployment installed for itself comes first.
"""

import os
import sys


def main() -> int:
    """Does what the arguments say; returns the exit code."""
    packages = os.path.abspath(__file__).rsplit(os.sep, 4)[0]
    if packages not in sys.path:
        sys.path.append(packages)
    task, *rest = sys.argv[1:]
    if task == "serve":
        from podium.agent.process.launcher import launch

        return launch(int(rest[0]))
    if task == "run":
        from podium.agent.process.running import run_entry

        return run_entry(*rest)
    if task == "under":
        from podium.agent.process.dropping import main as under

        under(*rest)
    if task == "probe":
        from podium.agent.process.probe import report

        sys.stdout.write(report())
        return 0
    raise SystemExit(f"boot.py: unknown task {task!r}")


if __name__ == "__main__":
    sys.exit(main())
