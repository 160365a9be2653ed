"""Schema of the AWS resources that `deploy/terraform` uses, recovered from published bindings of Terraform's AWS provider.

The provider's program can't be had from a package index; the bindings that are generated from it can: npm's `@cdktn/provider-aws`
(MPL-2.0). They tell name, type and place of every argument and attribute. `tests/system/deploy/terraform/stub_provider.py` serves the
result, so that the modules are planned and tested against the real names. Run it after a module uses a new type:

    npm pack @cdktn/provider-aws@24.1.0 && python tools/generate_aws_schema.py cdktn-provider-aws-24.1.0.tgz

What the bindings don't tell: which optional arguments the provider fills in itself (all are taken to be), and which values it accepts.
"""

import json
import re
import sys
import tarfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
MODULES: Final = ROOT / "deploy" / "terraform" / "modules"
SCHEMA: Final = ROOT / "tests" / "system" / "deploy" / "terraform" / "aws_schema.json"

_USED = re.compile(r'^(resource|data|ephemeral) "aws_(\w+)"', re.MULTILINE)
_ENTRY = re.compile(
    r'^\s+(\w+): \{\s+value: (.*?),\s+isBlock: (true|false),\s+type: "(\w+)",\s+storageClassType: "(\w+)",',
    re.MULTILINE,
)
_REQUIRED = re.compile(r"#(\w+) \w+#\w+\}\s*\n(?:\s*\*[^\n]*\n)*\s*\*/\s*readonly \w+(\??):")
_ATTRIBUTE = re.compile(r"get(\w*)Attribute\('(\w+)'\)")
_OBJECTS = re.compile(r"this\._(\w+) = new (\w+)List\(this, \"(\w+)\"")

_ELEMENTS: Final = {"string": "string", "number": "number", "boolean": "bool", "any": "string"}
_RESULTS: Final = {
    "String": "string", "Number": "number", "Boolean": "bool", "List": ["list", "string"],
    "StringMap": ["map", "string"], "NumberList": ["list", "number"],
}  # fmt: skip


class Bindings:
    """The files of one resource: its JavaScript and its type declarations."""

    def __init__(self, javascript: str, declarations: str) -> None:
        self._javascript = javascript
        self._declarations = declarations

    def schema(self) -> dict[str, Any]:
        """The schema of the resource's block."""
        match = re.search(r'^(\w+)\.tfResourceType = "', self._javascript, re.MULTILINE)
        assert match is not None, "no class of a resource"
        name = match[1]
        body = self._javascript[self._javascript.index(f"class {name} extends cdktn.Terraform") :]
        written = body.index("synthesizeHclAttributes() {")
        block = self._block(_braced(body, written), f"{name}Config", outermost=True)
        known = {*block["attributes"], *block["block_types"]}
        for kind, attribute in _ATTRIBUTE.findall(body[:written]):
            if attribute not in known:
                block["attributes"][attribute] = {"type": _RESULTS.get(kind, "string"), "computed": True}
        for _, kind, attribute in _OBJECTS.findall(body[:written]):
            if attribute not in known:
                block["attributes"][attribute] = {"type": ["list", ["object", self._results(kind)]], "computed": True}
        block["attributes"].setdefault("id", {"type": "string", "optional": True, "computed": True})
        return block

    def _results(self, kind: str) -> dict[str, Any]:
        """Attributes of an object that only the provider makes."""
        match = re.search(rf"^class {kind}OutputReference ", self._javascript, re.MULTILINE)
        body = _braced(self._javascript, match.start()) if match else ""
        return {name: _RESULTS.get(how, "string") for how, name in _ATTRIBUTE.findall(body)}

    def _block(self, source: str, interface: str, *, outermost: bool) -> dict[str, Any]:
        attributes: dict[str, Any] = {}
        blocks: dict[str, Any] = {}
        required = self._required(interface)
        for name, value, is_block, kind, storage in _ENTRY.findall(source):
            nested = self._nested(value)
            needed = required.get(name, False)
            flags = {"required": True} if needed else {"optional": True, "computed": outermost}
            if name.endswith("_wo"):
                flags = {"optional": True, "write_only": True}
            if nested is None:
                attributes[name] = {"type": _type(kind, storage), **flags}
                continue
            inner = self._block(nested[1], nested[0], outermost=False)
            if is_block == "true":
                nesting = "single" if name == "timeouts" else "set" if kind == "set" else "list"
                most = 0 if "listMapperHcl" in value else 1
                blocks[name] = {"nesting": nesting, "min": int(needed), "max": most, "block": inner}
            else:
                members = {inside: found["type"] for inside, found in inner["attributes"].items()}
                attributes[name] = {"type": [kind if kind in ("list", "set") else "list", ["object", members]], **flags}
        return {"attributes": attributes, "block_types": blocks}

    def _required(self, interface: str) -> dict[str, bool]:
        match = re.search(rf"export interface {interface}(?: extends [\w.]+)? \{{", self._declarations)
        body = _braced(self._declarations, match.start()) if match else ""
        return {name: optional == "" for name, optional in _REQUIRED.findall(body)}

    def _nested(self, value: str) -> tuple[str, str] | None:
        """Interface and source of the function that writes a nested block, if `value` names one."""
        for writer in re.findall(r"(\w+)ToHclTerraform\b", value):
            match = re.search(rf"^function {writer}ToHclTerraform\(", self._javascript, re.MULTILINE)
            if match is not None:
                return writer[0].upper() + writer[1:], _braced(self._javascript, match.end())
        return None


def _braced(text: str, start: int) -> str:
    """What is between the first brace after `start` and its counterpart."""
    opened = text.index("{", start)
    depth = 0
    for at in range(opened, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[opened : at + 1]
    raise ValueError("braces are not closed")


def _type(kind: str, storage: str) -> Any:
    element = next((made for word, made in _ELEMENTS.items() if storage.startswith(word)), "string")
    return element if kind == "simple" else [kind if kind in ("list", "set", "map") else "list", element]


def used_types() -> set[tuple[str, str]]:
    """(`resource`, `data` or `ephemeral`, type without `aws_`) of everything the modules declare."""
    files = MODULES.parent.rglob("*.tf")
    return {found for file in files for found in _USED.findall(file.read_text())}


def generate(archive: Path) -> dict[str, Any]:
    """The schema of everything that is used."""
    found: dict[str, dict[str, Any]] = {"resource": {}, "data": {}, "ephemeral": {}}
    with tarfile.open(archive) as package:
        for kind, name in sorted(used_types()):
            folder = name.replace("_", "-") if kind == "resource" else f"data-aws-{name.replace('_', '-')}"
            texts = []
            for file in ("index.js", "index.d.ts"):
                member = package.extractfile(f"package/lib/{folder}/{file}")
                assert member is not None, f"{folder} is no file of the package"
                texts.append(member.read().decode())
            found[kind][f"aws_{name}"] = Bindings(*texts).schema()
    return found


def main(arguments: list[str]) -> int:
    """Writes the schema; the argument is the package's archive."""
    if len(arguments) != 1:
        sys.stderr.write("give the archive of @cdktn/provider-aws (npm pack)\n")
        return 64
    schema = generate(Path(arguments[0]))
    SCHEMA.write_text(json.dumps(schema, indent=None, sort_keys=True, separators=(",", ":")) + "\n")
    print(f"{sum(map(len, schema.values()))} types, {SCHEMA.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
