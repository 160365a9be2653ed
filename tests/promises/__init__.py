"""The promises of the project as data; which tests prove them, and which are still open.

A test names what it proves with `@pytest.mark.proves("ID")`. `tests/unit/house/test_promises.py` holds both
directions: a marker names a known promise; a promise has a proof or a reason in `OPEN`, never both.
"""

from tests.promises import agents, api, chronicle, client, cluster, diminuendo, operations, stream
from tests.promises.model import Promise
from tests.promises.open import OPEN

PROMISES: dict[str, Promise] = {
    promise.id: promise
    for promise in (
        Promise(name, f"{area.SOURCE} §{section}", text, OPEN.get(name))
        for area in (api, stream, agents, chronicle, client, cluster, diminuendo, operations)
        for section, promises in area.PROMISES.items()
        for name, text in promises.items()
    )
}

__all__ = ["OPEN", "PROMISES", "Promise"]
