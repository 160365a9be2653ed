"""The checks of `typescript/` find what they are for when it is planted."""

from pathlib import Path

import pytest

from tests.bun import needs_bun, run_bun

WORKSPACE = Path(__file__).parents[2] / "typescript"
LINTER = WORKSPACE / "node_modules" / ".bin" / "oxlint"

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
    code, said = await run_bun("--bun", LINTER, "--format", "unix", "agent", cwd=tmp_path)
    assert (code, said.count("[Error/")) == (1, 1), said
    assert rule in said
