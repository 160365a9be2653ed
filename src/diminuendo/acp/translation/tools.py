"""Tool calls: kind, title, locations, content. The conventions by which an agent shows diffs are in `docs/howto/use-an-editor.md`.

```
kind        what the agent said, else the first word of the tool's name: `read_file` is `read`
locations   what the agent said, else the path among the arguments
diff        {path, new_text, old_text?} or a list of such under `diffs`, in the result or the arguments;
            of a tool of kind `edit` also {path, old_string, new_string} and {path, content}
content     a result that is text, {content: [blocks]} as MCP tools give it, or {text}; any other as JSON
```
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from diminuendo.acp.translation.params import Image, Resource, ResourceLink, Text
from diminuendo.acp.translation.paths import Paths
from diminuendo.acp.translation.updates import text_content

KINDS: Final = frozenset(
    {"read", "edit", "delete", "move", "search", "execute", "think", "fetch", "switch_mode", "other"}
)
"""The kinds of ACP."""

CONTENT_MAX_CHARS: Final = 64 * 1024
"""Most of a result that is shown as text; editors show a few screens of it. `rawOutput` has all of it."""

_WORDS: Final = {
    "read": ("read", "view", "open", "cat", "load"),
    "edit": ("edit", "write", "create", "patch", "replace", "update", "append", "insert"),
    "delete": ("delete", "remove", "rm"),
    "move": ("move", "rename", "mv"),
    "search": ("search", "grep", "find", "list", "glob", "ls"),
    "execute": ("run", "exec", "execute", "bash", "shell", "terminal", "command"),
    "think": ("think", "plan"),
    "fetch": ("fetch", "http", "web", "download", "browse"),
}
_KIND_OF_WORD: Final = {word: kind for kind, words in _WORDS.items() for word in words}
_PATHS: Final = ("path", "file_path", "filename")


def kind_of(tool_name: str, said: Any) -> str:
    """The kind of a tool call."""
    if isinstance(said, str) and said in KINDS:
        return said
    word = tool_name.replace("-", "_").partition("_")[0].lower()
    return _KIND_OF_WORD.get(word, "other")


def locations(said: Any, arguments: Any, paths: Paths) -> list[dict[str, Any]] | None:
    """The places in files a tool call is about; None: none is known."""
    found: list[dict[str, Any]] = []
    for item in said if isinstance(said, list) else ():
        path, line = (item.get("path"), item.get("line")) if isinstance(item, dict) else (item, None)
        if isinstance(path, str) and path:
            place = {"path": paths.shown(path)}
            found.append({**place, "line": line} if type(line) is int and line >= 0 else place)
    path = _path_in(arguments)
    if not found and path is not None:
        found.append({"path": paths.shown(path)})
    return found or None


def diffs(kind: str, value: Any, paths: Paths) -> list[dict[str, Any]]:
    """The changes of files that arguments or a result tell of, as content."""
    return list(_diffs(kind, value, paths))


def shown_result(kind: str, result: Any, paths: Paths) -> list[dict[str, Any]]:
    """A result as content."""
    if changes := diffs(kind, result, paths):
        return changes
    if isinstance(result, dict):
        if isinstance(result.get("content"), list) and (blocks := _blocks(result["content"])):
            return blocks
        result = next((result[name] for name in ("content", "text") if isinstance(result.get(name), str)), result)
    if result is None or result == "":
        return []
    text = result if isinstance(result, str) else msgspec.json.encode(result).decode()
    return [text_content(clipped(text))]


def clipped(text: str) -> str:
    """`text`, or its beginning and a mark."""
    return text if len(text) <= CONTENT_MAX_CHARS else f"{text[:CONTENT_MAX_CHARS]}\n…"


def _diffs(kind: str, value: Any, paths: Paths) -> Iterator[dict[str, Any]]:
    if not isinstance(value, dict):
        return
    for item in value["diffs"] if isinstance(value.get("diffs"), list) else ():
        if isinstance(item, dict):
            yield from _diffs(kind, {**item, "diffs": None}, paths)
    path = _path_in(value)
    if path is None:
        return
    old, new = _first(value, "old_text", "oldText"), _first(value, "new_text", "newText")
    if new is None and kind == "edit":
        old, new = _first(value, "old_string", "old_str"), _first(value, "new_string", "new_str", "content")
    if new is not None:
        change = {"type": "diff", "path": paths.shown(path), "newText": new}
        yield change if old is None else {**change, "oldText": old}


def _path_in(value: Any) -> str | None:
    return (_first(value, *_PATHS) or None) if isinstance(value, dict) else None


def _first(value: dict[Any, Any], *names: str) -> str | None:
    return next((value[name] for name in names if isinstance(value.get(name), str)), None)


def _blocks(items: list[Any]) -> list[dict[str, Any]]:
    found = []
    for item in items:
        try:
            msgspec.convert(item, Text | Image | Resource | ResourceLink)
        except msgspec.ValidationError:
            continue
        found.append({"type": "content", "content": item})
    return found
