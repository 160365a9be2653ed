"""Tests that need Bun: skipped, with the reason, where there is none."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from podium.base.bun import find_bun

needs_bun = pytest.mark.skipif(find_bun() is None, reason="there is no Bun on this host: `make setup` installs it")


async def run_bun(*arguments: str | Path, cwd: Path, seconds: float = 120.0) -> tuple[int | None, str]:
    """Exit code of Bun with these arguments, and what it said."""
    bun = find_bun()
    assert bun is not None
    process = await asyncio.create_subprocess_exec(
        bun, *arguments, cwd=cwd, stdout=-1, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), seconds)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # processes it left that were killed, whose parents were gone: they became ours
    return process.returncode, said.decode()
