"""Does random things in a workspace's tree and reports them to a recorder exactly as a mount does, until it is killed.

Arguments: the workspace, a seed, a file to write the log into. Log lines are written before and after: `doing` with the paths that
may be touched, before an operation; `noted` with the BLAKE3 of a closed version, after the recorder has taken note of it;
`recorded` with a head that was announced.
"""

import os
import random
import sys
from pathlib import Path

from blake3 import blake3

from chronicle.layout import Layout
from chronicle.recording import reconcile
from tests.unit.chronicle.recording.place import Place, open_place

SIZES = (0, 20, 20, 300, 3000, 70_000, 200_000)


class Hand:
    def __init__(self, place: Place, seed: int, log: Path) -> None:
        self._place = place
        self._random = random.Random(seed)
        self._seed = seed
        self._count = 0
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._directories = [b""]
        self._files: list[bytes] = []
        for path, directories, files in os.walk(os.fsencode(place.layout.tree)):
            inside = os.path.relpath(path, os.fsencode(place.layout.tree))
            prefix = b"" if inside == b"." else inside + b"/"
            self._directories += [prefix + name for name in directories]
            self._files += [prefix + name for name in files]
        self._files.sort()
        self._directories.sort()

    def say(self, *words: bytes) -> None:
        os.write(self._log, b" ".join(words) + b"\n")

    def step(self) -> None:
        what = self._random.choice(
            [
                *[self.make] * 3,
                *[self.rewrite] * 3,
                self.remove,
                self.move,
                self.move_directory,
                self.link,
                self.sweep,
                self.pause,
            ]
        )
        what()

    def _new_name(self) -> bytes:
        self._count += 1
        directory = self._random.choice(self._directories)
        name = b"%d-%d" % (self._seed, self._count)
        return directory + b"/" + name if directory else name

    def _content(self) -> bytes:
        self._count += 1
        unique = b"%d.%d." % (self._seed, self._count)
        return unique * (1 + self._random.choice(SIZES) // len(unique))

    def _write(self, name: bytes) -> None:
        content = self._content()
        self.say(b"doing", name)
        self._place.make(name, content)
        self.say(b"noted", blake3(content).hexdigest().encode())

    def make(self) -> None:
        if self._random.random() < 0.15 and len(self._directories) < 12:
            name = self._new_name()
            self.say(b"doing", name)
            self._place.mkdir(name)
            self._directories.append(name)
        else:
            name = self._new_name()
            self._write(name)
            self._files.append(name)

    def rewrite(self) -> None:
        if self._files:
            self._write(self._random.choice(self._files))

    def remove(self) -> None:
        if len(self._files) > 5:
            name = self._files.pop(self._random.randrange(len(self._files)))
            self.say(b"doing", name)
            self._place.unlink(name)

    def move(self) -> None:
        if not self._files:
            return
        source = self._random.choice(self._files)
        over = self._random.random() < 0.3
        name = self._random.choice(self._files) if over else self._new_name()
        if name == source or os.path.samefile(self._place.path(source), self._place.path(name) if over else b"/"):
            return
        self.say(b"doing", source, name)
        self._place.rename(source, name)
        self._files.remove(source)
        if not over:
            self._files.append(name)

    def move_directory(self) -> None:
        if len(self._directories) < 3:
            return
        source = self._random.choice(self._directories[1:])
        name = self._new_name()
        if name.startswith(source + b"/"):
            return
        self.say(b"doing", source, name)
        self._place.rename(source, name)

        def there(path: bytes) -> bytes:
            return name + path[len(source) :] if path == source or path.startswith(source + b"/") else path

        self._files = [there(path) for path in self._files]
        self._directories = [there(path) for path in self._directories]

    def link(self) -> None:
        if self._files:
            source, name = self._random.choice(self._files), self._new_name()
            self.say(b"doing", source, name)
            self._place.link(source, name)
            self._files.append(name)

    def sweep(self) -> None:
        if self._files:
            name = self._random.choice(self._files)
            self._place.closed(name)

    def pause(self) -> None:
        if self._random.random() < 0.2:
            self.say(b"recorded", b"%d" % self._place.recorder.barrier(30))


def main() -> None:
    layout = Layout(Path(sys.argv[1]))
    with open_place(layout, layout.read_settings()) as place:
        reconcile(layout, place.history, place.recorder)
        hand = Hand(place, int(sys.argv[2]), Path(sys.argv[3]))
        hand.say(b"begun")
        for _ in range(int(sys.argv[4])):
            hand.step()
        hand.say(b"recorded", b"%d" % place.recorder.barrier(60))
    hand.say(b"ended")


if __name__ == "__main__":
    main()
