"""Entry point of `podium`: runs a command, and is the one place where failures become exit codes."""

import sys
from collections.abc import Sequence

from podium.cli.app import podium
from podium.cli.failures import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `podium` with `arguments` (those of the process when None) and returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # Not standalone, click returns the code of an `Exit` instead of raising it; commands themselves return None.
        code = podium.main(given, prog_name="podium", standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - translated, or raised again
        # Everything is translated here, also Ctrl-C; what is no failure of ours is raised again.
        return report(error, as_json="--json" in given)
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
