"""A prompt and the message it becomes.

The message's `text` is all a plain agent needs: what the person typed, links as Markdown, and behind that the contents of
embedded resources. What is no plain text is there once more, as it came, in `attachments`, for agents that know what to do
with it. `acp.shown` says how much of `text` the person sees.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from diminuendo.acp.rpc.messages import INVALID_PARAMS, RpcError
from diminuendo.acp.translation.params import Audio, Block, Image, Resource, ResourceLink, Text

TITLE_MAX_CHARS = 80
"""A session's title is the beginning of its first prompt, so long."""


class Said(NamedTuple):
    """A message for the agent: its text, and what goes beside it."""

    text: str
    metadata: dict[str, Any]

    @property
    def title(self) -> str:
        """A title for a session that begins with this."""
        line = " ".join(self.text[: self.metadata["acp"]["shown"]].split())
        return line if len(line) <= TITLE_MAX_CHARS else f"{line[: TITLE_MAX_CHARS - 1]}…"


def said(blocks: Sequence[Block], cwd: str, settings: Mapping[str, str | bool], *, images: bool) -> Said:
    """The message of a prompt, with the options the person chose as `settings`.

    Raises:
        RpcError: the agent takes no such content.
    """
    for block in blocks:
        if isinstance(block, Audio):
            raise RpcError(INVALID_PARAMS, "audio is not taken")
        if isinstance(block, Image) and not images:
            raise RpcError(INVALID_PARAMS, "this agent takes no images")
    shown = "".join(_inline(block) for block in blocks)
    contexts = [_context(block) for block in blocks if isinstance(block, Resource) and block.resource.text is not None]
    attachments = [_as_sent(block) for block in blocks if not isinstance(block, Text)]
    metadata: dict[str, Any] = {"acp": {"cwd": cwd, "shown": len(shown)}}
    if attachments:
        metadata["attachments"] = attachments
    if settings:
        metadata["settings"] = dict(settings)
    return Said("".join([shown, *contexts]), metadata)


def blocks_of(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The content of a person's message as blocks of ACP, whoever sent it."""
    text = content.get("text")
    shown = text if isinstance(text, str) else ""
    mark = content.get("acp")
    if isinstance(mark, dict) and type(mark.get("shown")) is int:
        shown = shown[: max(0, mark["shown"])]
    attachments = content.get("attachments")
    found = [] if not shown else [{"type": "text", "text": shown}]
    for item in attachments if isinstance(attachments, list) else ():
        try:
            block = msgspec.convert(item, Image | Resource)
        except msgspec.ValidationError:
            continue  # a link is in the text; what else programs attach, an editor can't show
        found.append(_as_sent(block))
    return found


def _as_sent(block: Any) -> dict[str, Any]:
    sent: dict[str, Any] = msgspec.to_builtins(block)
    return _without_nones(sent)


def _without_nones(value: dict[str, Any]) -> dict[str, Any]:
    kept = {name: item for name, item in value.items() if item is not None}
    return {name: _without_nones(item) if isinstance(item, dict) else item for name, item in kept.items()}


def _inline(block: Block) -> str:
    match block:
        case Text():
            return block.text
        case ResourceLink():
            return f"[{block.title or block.name}]({block.uri})"
        case Resource():
            return f"[{_name_of(block.resource.uri)}]({block.resource.uri})"
    return ""


def _context(block: Resource) -> str:
    return f'\n<context ref="{block.resource.uri}">\n{block.resource.text}\n</context>'


def _name_of(uri: str) -> str:
    try:
        path = urlsplit(uri).path
    except ValueError:
        return uri
    return path.rstrip("/").rpartition("/")[2] or uri
