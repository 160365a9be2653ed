"""The TypeScript SDK by its own tests, in Bun, and by its types."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from podium.base.bun import find_bun
from tests.bun import needs_bun

pytestmark = needs_bun

WORKSPACE = Path(__file__).parents[2] / "typescript"
COMPILER = WORKSPACE / "node_modules" / "typescript" / "bin" / "tsc"
SECONDS = 120.0
"""The suite takes about 15 s on an idle host."""


async def run(*arguments: str | Path, cwd: Path) -> tuple[int | None, str]:
    """Exit code of Bun with these arguments, and what it said."""
    bun = find_bun()
    assert bun is not None
    process = await asyncio.create_subprocess_exec(
        bun, *arguments, cwd=cwd, stdout=-1, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # commands its agents killed, whose parents were gone: they became ours
    return process.returncode, said.decode()


async def test_its_tests_pass() -> None:
    code, said = await run("test", "--timeout", "60000", cwd=WORKSPACE / "agent")
    assert code == 0, said
    assert " 0 fail" in said


@pytest.mark.skipif(not COMPILER.exists(), reason="run `bun install` in typescript/")
async def test_its_types_hold() -> None:
    assert await run(COMPILER, "--pretty", "false", "-p", ".", cwd=WORKSPACE / "agent") == (0, "")
