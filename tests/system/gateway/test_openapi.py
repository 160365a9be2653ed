"""The document says what the gateway does: a fuzzer driven by it finds no 5xx and no undocumented status."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
