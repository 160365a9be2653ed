"""Tests that need Bun: skipped, with the reason, where there is none."""

import pytest

from podium.base.bun import find_bun

needs_bun = pytest.mark.skipif(find_bun() is None, reason="there is no Bun on this host: `make setup` installs it")
