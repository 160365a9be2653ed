"""All benchmarks: `python -m benchmarks` (what `make bench` runs). Each module answers one question and can be run alone."""

import argparse
import asyncio
import importlib
import inspect
import time

from benchmarks.figures import Row, table
from benchmarks.machine import facts

ALL: dict[str, tuple[str, tuple[object, ...]]] = {
    "start": ("Start", (5,)),
    "instances": ("Instances", (60, 3)),
    "turns": ("Turns", (5.0, 3)),
    "density": ("Density", (500,)),
    "stream": ("Stream", (3.0, 3)),
    "delta_state": ("Delta state", ()),
    "store": ("Stores", ()),
    "telemetry": ("Telemetry", (1.0, 9)),
}


def _rows(name: str, arguments: tuple[object, ...]) -> list[Row]:
    found = importlib.import_module(f"benchmarks.{name}").measure(*arguments)
    rows: list[Row] = asyncio.run(found) if inspect.iscoroutine(found) else found
    return rows


def main() -> None:
    """Runs the named benchmarks, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *ALL], default=[])
    names = parser.parse_args().names or list(ALL)
    print(facts())
    for name in names:
        title, arguments = ALL[name]
        started = time.perf_counter()
        print(table(title, _rows(name, arguments)), flush=True)
        print(f"\n({time.perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
