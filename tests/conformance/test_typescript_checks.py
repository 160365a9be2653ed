"""The checks of `typescript/` find what they are for when it is planted."""

import asyncio
from pathlib import Path

import pytest

from podium.base.bun import find_bun
from tests.bun import needs_bun

WORKSPACE = Path(__file__).parents[2] / "typescript"
LINTER = WORKSPACE / "node_modules" / ".bin" / "oxlint"
SECONDS = 60.0

pytestmark = [
    needs_bun,
    pytest.mark.skipif(not LINTER.exists(), reason="run `make lint`, which brings the linter"),
]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("later();", "no-floating-promises"),
        ("[1].forEach(later);", "no-misused-promises"),
        ("await 1;", "await-thenable"),
        ("throw 'text';", "only-throw-error"),
        ("\n" * 61, "max-lines-per-function"),
    ],
)
async def test_what_the_compiler_lets_pass_is_found(tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "node_modules").symlink_to(WORKSPACE / "node_modules")
    for name in ("tsconfig.base.json", ".oxlintrc.json"):
        (tmp_path / name).write_bytes((WORKSPACE / name).read_bytes())
    source = tmp_path / "agent" / "src"
    source.mkdir(parents=True)
    (source.parent / "tsconfig.json").write_text('{ "extends": "../tsconfig.base.json", "include": ["src"] }')
    (source / "planted.ts").write_text(
        f"export async function later(): Promise<void> {{}}\nexport async function planted(): Promise<void> {{ {text}\n }}\n"
    )
    code, said = await _lint(tmp_path)
    assert (code, said.count("[Error/")) == (1, 1), said
    assert rule in said


async def _lint(folder: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(str(find_bun()), "--bun", str(LINTER), "--format", "unix", "agent"),
        cwd=folder,
        stdout=-1,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, said.decode()
