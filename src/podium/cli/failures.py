"""Failures of the command line: each is told on stderr in a few lines and becomes an exit code, here and nowhere else.

```
code   meaning (sysexits where one fits)
64     the command was used wrongly
78     the configuration is wrong or missing (ConfigurationError)
130    Ctrl-C
141    whoever read our output went away
else   podium.wire.errors.MAPPINGS[code].exit
```
"""

import contextlib
import json
import os
import sys
from typing import Any, Final, NamedTuple

import click

from podium.wire.errors import MAPPINGS, ErrorCode, FieldError, PodiumError
from podium.wire.manifest import ManifestError

EXIT_USAGE: Final = 64
EXIT_CONFIGURATION: Final = 78
EXIT_INTERRUPTED: Final = 130
EXIT_PIPE: Final = 141

_KEY_ADVICE: Final = {
    True: "PODIUM_API_KEY is set, and comes before the key of `podium up`: unset it, or set it to a valid one",
    False: "set PODIUM_API_KEY, or run this below the directory where `podium up` keeps its .podium",
}
"""What to do about a refused key, by whether it came from the environment."""


class ConfigurationError(Exception):
    """Something the user must set, start or install first; the message says what."""


class Failure(NamedTuple):
    """What a person (or a program, with `--json`) is told."""

    exit_code: int
    code: str
    detail: str
    errors: list[FieldError] | None = None
    logs: list[str] | None = None


def failure_of(error: BaseException) -> Failure | None:
    """What an exception means at the command line; None for one that is a fault of this program."""
    if isinstance(error, PodiumError):
        return Failure(error.mapping.exit, error.code.value, error.detail, error.errors, error.logs)
    if isinstance(error, ConfigurationError):
        return Failure(EXIT_CONFIGURATION, "configuration", str(error))
    if isinstance(error, ManifestError):
        return Failure(MAPPINGS[ErrorCode.INVALID_BUNDLE].exit, ErrorCode.INVALID_BUNDLE.value, str(error))
    if isinstance(error, click.UsageError):
        return Failure(EXIT_USAGE, "usage", error.format_message())
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return Failure(EXIT_INTERRUPTED, "interrupted", "")
    return _client_failure(error)


def _client_failure(error: BaseException) -> Failure | None:
    # Only a command that talked to a server can fail like this; others must not pay for the import.
    if "podium.client.errors" not in sys.modules:
        return None
    from podium.client.errors import PodiumConnectionError

    if not isinstance(error, PodiumConnectionError):
        return None
    detail = error.detail
    if error.code is ErrorCode.UNREACHABLE and error.status is None:
        detail += "\nis it running? start it with `podium up`, or set PODIUM_URL"
    if error.code is ErrorCode.UNAUTHENTICATED:
        detail += "\n" + _KEY_ADVICE[bool(os.environ.get("PODIUM_API_KEY"))]
    return Failure(MAPPINGS[error.code].exit, error.code.value, detail, error.errors, error.logs)


def report(error: BaseException, *, as_json: bool) -> int:
    """Tells what went wrong and returns the exit code; a fault of this program is raised again."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, BrokenPipeError):
        _forget_stdout()
        return EXIT_PIPE
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return report(error.exceptions[0], as_json=as_json)
    failure = failure_of(error)
    if failure is None:
        raise error
    if as_json:
        click.echo(json.dumps(_as_dict(failure)), err=True)
    else:
        _tell(failure, error)
    return failure.exit_code


def _tell(failure: Failure, error: BaseException) -> None:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
    if not failure.detail:
        return
    click.echo(click.style("error: ", fg="red", bold=True) + failure.detail, err=True)
    for field in failure.errors or []:
        click.echo(f"  {field.loc}: {field.msg}", err=True)
    if failure.logs:
        click.echo("last lines of the log:", err=True)
        for line in failure.logs:
            click.echo(f"  {line}", err=True)


def _as_dict(failure: Failure) -> dict[str, Any]:
    told: dict[str, Any] = {"code": failure.code, "detail": failure.detail}
    if failure.errors:
        told["errors"] = [{"loc": field.loc, "msg": field.msg} for field in failure.errors]
    if failure.logs:
        told["logs"] = failure.logs
    return {"error": told}


def _forget_stdout() -> None:
    """Python would complain at exit that it can't flush."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
