"""Entry point of `chronicle`: runs a command, and is the one place where failures become exit codes."""

import sys
from collections.abc import Sequence

from chronicle.cli.app import chronicle
from chronicle.cli.failures import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `chronicle` with `arguments` (those of the process when None) and returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="surrogateescape")  # names are bytes: what is no text goes out as it came in
    try:
        code = chronicle.main(given, prog_name="chronicle", standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - translated, or raised again
        return report(error, as_json="--json" in given)
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
