"""What the journal holds after a crash, as items to record, each content with the place where it is found now."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from chronicle import reaching
from chronicle.layout import Layout
from chronicle.model.changes import Change
from chronicle.model.paths import joined
from chronicle.recording.journal import Journal, after
from chronicle.recording.notes import ChangeNote, InlineNote, WroteNote, decode
from chronicle.recording.queue import Item
from chronicle.recording.tokens import Token


def replay(layout: Layout, journal: Journal, recorded: int) -> list[Item]:
    """Everything behind the position that the history has recorded, in order. Removes from `pending/` what nobody needs.

    Raises:
        OSError: the journal can't be read.
    """
    items: list[Item] = []
    tokens: dict[int, Token] = {}
    places = Places()
    for at, payload in journal.records(max(recorded, journal.first)):
        try:
            note = decode(payload)
        except msgspec.DecodeError:
            continue  # made by a newer Chronicle: the comparison finds what it was about
        match note:
            case InlineNote(of=of):
                if of in tokens:
                    tokens[of].inline = at
            case WroteNote():
                token = tokens[at] = Token(note, at)
                places.wrote(note.path, token)
                items.append(Item(after(at, payload), note, token))
            case _:
                if isinstance(note, ChangeNote):
                    places.changed(note.change)
                items.append(Item(after(at, payload), note))
    for path, there in places.all():
        for token in there:
            token.found = path
    _find_pending(layout.pending, tokens)
    _tie(tokens.values())
    _seek(os.fsencode(layout.tree), [token for token in tokens.values() if not (token.settled or token.linked)])
    return items


def _seek(tree: bytes, tokens: list[Token]) -> None:
    """Looks for files by their inode that are not where the notes say: the crash came between a rename and its note, or what
    was noted under one name has others. Walks the tree only when there are such, without looking at the files."""
    wanted: dict[int, list[Token]] = {}
    for token in tokens:
        if token.note is not None and not _is_there(tree, token.found, token.note.inode):
            wanted.setdefault(token.note.inode, []).append(token)
    pending = [b""] if wanted else []
    with reaching.Walking(tree) as walking:
        while pending:
            directory = pending.pop()
            with contextlib.suppress(OSError), os.scandir(walking.directory(directory)) as listing:
                for here in listing:
                    path = joined(directory, os.fsencode(here.name))
                    if here.is_dir(follow_symlinks=False):
                        pending.append(path)
                    for token in wanted.get(here.inode(), ()):
                        token.found = path


def _is_there(tree: bytes, path: bytes | None, inode: int) -> bool:
    try:
        return path is not None and reaching.look(tree, path).st_ino == inode
    except OSError:
        return False


def _tie(tokens: Iterable[Token]) -> None:
    """Ties each token that is not settled to the next one of the same file, as it was before the crash."""
    latest: dict[int, Token] = {}
    for token in tokens:
        if token.note is None:
            continue
        before = latest.get(token.note.inode)
        if before is not None and not before.settled:
            before.later = token
            token.lock = before.lock
        latest[token.note.inode] = token


def _find_pending(pending: Path, tokens: dict[int, Token]) -> None:
    """Tells tokens what they have in `pending/`, by the position in its name, and removes the rest."""
    for name in os.listdir(pending):
        token = None
        with contextlib.suppress(ValueError):
            token = tokens.get(int(name[1:], 16))
        if token is not None and name == token.copy_name():
            token.copied = True
        elif token is not None and name == token.link_name():
            token.linked = True
        else:
            with contextlib.suppress(OSError):
                os.unlink(pending / name)


@dataclass
class _Place:
    """What is at a path: contents noted for it, and what is below it."""

    tokens: list[Token] = field(default_factory=list)
    below: dict[bytes, "_Place"] = field(default_factory=dict)


class Places:
    """Where noted contents are after the renames that followed. A rename costs the depth of its paths, not what it moves."""

    def __init__(self) -> None:
        self._root = _Place()

    def wrote(self, path: bytes, token: Token) -> None:
        """A content was noted at the path."""
        self._at(path).tokens.append(token)

    def changed(self, change: Change) -> None:
        """A later change moved or removed what is at its path."""
        match change.kind:
            case "rename" if change.source is not None:
                self._put(change.path, self._take(change.source))
            case "exchange" if change.source is not None:
                ours, theirs = self._take(change.path), self._take(change.source)
                self._put(change.path, theirs)
                self._put(change.source, ours)
            case "link" if change.source is not None:
                self._put(change.path, _Place(self._at(change.source).tokens))
            case "delete":
                self._take(change.path)
            case _:
                pass

    def all(self) -> Iterator[tuple[bytes, list[Token]]]:
        """Paths with the contents that were noted for what is there."""
        waiting = [(b"", self._root)]
        while waiting:
            path, place = waiting.pop()
            if place.tokens:
                yield path, place.tokens
            waiting += [(path + b"/" + name if path else name, inside) for name, inside in place.below.items()]

    def _at(self, path: bytes) -> _Place:
        place = self._root
        for name in path.split(b"/"):
            place = place.below.setdefault(name, _Place())
        return place

    def _take(self, path: bytes) -> _Place:
        *above, name = path.split(b"/")
        place = self._root
        for part in above:
            inside = place.below.get(part)
            if inside is None:
                return _Place()
            place = inside
        return place.below.pop(name, None) or _Place()

    def _put(self, path: bytes, place: _Place) -> None:
        *above, name = path.split(b"/")
        holder = self._root
        for part in above:
            holder = holder.below.setdefault(part, _Place())
        holder.below[name] = place
