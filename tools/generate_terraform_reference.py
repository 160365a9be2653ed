"""Writes `docs/reference/terraform.md`: the values of an environment and what it tells, out of the modules' own descriptions.

`--check` compares instead of writing.
"""

import re
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PLATFORM: Final = ROOT / "deploy" / "terraform" / "modules" / "platform"
PAGE: Final = ROOT / "docs" / "reference" / "terraform.md"

HEAD: Final = """# Terraform: values of an environment

What `deploy/terraform/environments/*/main.tf` gives to the module `platform`. Generated from its descriptions; how it is used:
[deploy to AWS](../howto/deploy-to-aws.md).
"""

_BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_DESCRIPTION = re.compile(r'^  description = "(.*)"$', re.MULTILINE)
_TYPE = re.compile(r"^  type\s+= (\w+\(\{\n.*?^  \}\)|.+)$", re.MULTILINE | re.DOTALL)
_SIMPLE_TYPE = re.compile(r"^  type\s+= ([^\n]*[^{\n])$", re.MULTILINE)
_DEFAULT = re.compile(r"^  default\s+= (.+)$", re.MULTILINE)


def rows(kind: str, path: Path) -> list[tuple[str, str, str, str]]:
    """Name, type, default and description of each block of a kind, in their order."""
    found = []
    for word, name, body in _BLOCK.findall(path.read_text()):
        if word == kind:
            description = _DESCRIPTION.search(body)
            assert description is not None, f"{name} is not described"
            default = _DEFAULT.search(body)
            found.append((name, _type(body), f"`{default[1]}`" if default else "–", description[1]))
    return found


def _type(body: str) -> str:
    simple = _SIMPLE_TYPE.search(body)
    if simple is not None:
        return f"`{simple[1]}`"
    whole = _TYPE.search(body)
    if whole is None:
        return ""
    fields = re.findall(r"^    (\w+)\s+= (.+)$", whole[1], re.MULTILINE)
    return "object: " + ", ".join(f"`{name}` {kind}" for name, kind in fields)


def page() -> str:
    """The page."""
    lines = [HEAD, "| value | type | default | meaning |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{name}` | {kind} | {default} | {text} |"
        for name, kind, default, text in rows("variable", PLATFORM / "variables.tf")
    ]
    lines += ["", "## What it tells", "", "| output | meaning |", "| --- | --- |"]
    lines += [f"| `{name}` | {text} |" for name, _, _, text in rows("output", PLATFORM / "outputs.tf")]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Writes the page, or with `--check` says whether it is as it should be."""
    if "--check" not in arguments:
        PAGE.write_text(page())
    elif PAGE.read_text() != page():
        print(f"{PAGE} is not what tools/generate_terraform_reference.py writes")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
