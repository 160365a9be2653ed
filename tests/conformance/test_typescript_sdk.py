"""The TypeScript SDK by its own tests, in Bun, and by its types."""

from pathlib import Path

import pytest

from tests.bun import needs_bun, run_bun

pytestmark = needs_bun

WORKSPACE = Path(__file__).parents[2] / "typescript"
COMPILER = WORKSPACE / "node_modules" / "typescript" / "bin" / "tsc"


async def test_its_tests_pass() -> None:
    code, said = await run_bun("test", "--timeout", "60000", cwd=WORKSPACE / "agent")  # about 15 s on an idle host
    assert code == 0, said
    assert " 0 fail" in said


@pytest.mark.skipif(not COMPILER.exists(), reason="run `make lint`, which brings the compiler")
async def test_its_types_hold() -> None:
    assert await run_bun(COMPILER, "--pretty", "false", "-p", ".", cwd=WORKSPACE / "agent") == (0, "")
