import uuid
from collections.abc import Iterator

import pytest

from chronicle.store.pool import S3Settings
from tests.system.chronicle.remote.weed import Weed


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    """One S3 server for a module; tests keep apart by their prefixes."""
    server = Weed(tmp_path_factory.mktemp("weed") / "data")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def settings(weed: Weed) -> S3Settings:
    """A prefix of the test's own."""
    return weed.settings(f"{uuid.uuid4().hex}/")
