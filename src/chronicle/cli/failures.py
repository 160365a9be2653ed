"""Failures of the command line: told on stderr, as exit codes of sysexits where one fits.

```
code   meaning
0      done
1      fsck found damage; diff and others: no
64     the command was used wrongly, a path or a setting is malformed
65     stored bytes are damaged
66     nothing is there: no workspace, no file, no such moment
69     this host can't do it
73     the disk or the remote tier refuses
75     another process writes the workspace, or it was not done in time: try again
130    Ctrl-C
141    whoever read our output went away
```
"""

import json
import os
import sys
from typing import Final

import click

from chronicle.control.client import NobodyThereError
from chronicle.control.failures import ChangedMeanwhileError, failure_of
from chronicle.model import errors

EXIT_USAGE: Final = 64
EXIT_NOT_THERE: Final = 66
EXIT_INTERRUPTED: Final = 130
EXIT_PIPE: Final = 141

_CODES: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (errors.InvalidPathError, EXIT_USAGE),
    (errors.InvalidInputError, EXIT_USAGE),
    (errors.NotFoundError, EXIT_NOT_THERE),
    (errors.VersionDroppedError, EXIT_NOT_THERE),
    (errors.DamagedError, 65),
    (errors.NotSupportedError, 69),
    (NobodyThereError, 69),
    (errors.QuotaExceededError, 73),
    (errors.StorageError, 73),
    (OSError, 73),
    (errors.WorkspaceBusyError, 75),
    (ChangedMeanwhileError, 75),
)


def report(error: BaseException, *, as_json: bool) -> int:
    """Tells what went wrong and returns the exit code; a fault of this program is raised again."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, BrokenPipeError):
        # What is still buffered has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return EXIT_INTERRUPTED
    if isinstance(error, click.UsageError):
        _say("usage", error.format_message(), as_json=as_json)
        return EXIT_USAGE
    if isinstance(error, TimeoutError):
        _say("timeout", str(error), as_json=as_json)
        return 75
    for kind, code in _CODES:
        if isinstance(error, kind):
            _say(failure_of(error).code, str(error), as_json=as_json)
            return code
    raise error


def _say(code: str, message: str, *, as_json: bool) -> None:
    text = json.dumps({"error": {"code": code, "message": message}}) if as_json else f"chronicle: {message}"
    print(text, file=sys.stderr)
