"""Where Podium is for this command, and with which key: found, so that nobody must type it.

```
address   PODIUM_URL · <data>/address · http://127.0.0.1:8090
key       PODIUM_API_KEY · <data>/dev-key        (administration: PODIUM_ADMIN_KEY · ADMIN_API_KEY · <data>/admin-key first)
<data>    --data · PODIUM_DATA · the nearest .podium of this directory and those above it
```
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from podium.cli.failures import ConfigurationError

if TYPE_CHECKING:
    from podium.client.settings import ClientSettings

DATA_NAME: Final = ".podium"
"""Name of the data directory of `podium up`."""

DEV_KEY_NAME: Final = "dev-key"
ADMIN_KEY_NAME: Final = "admin-key"
ADDRESS_NAME: Final = "address"

APPEAR_SECONDS: Final = 5.0
"""How long a command waits for the key of a `podium up` that was started just before it."""


class Place(NamedTuple):
    """What was found."""

    data: Path | None
    environment: Mapping[str, str]

    def read(self, name: str) -> str | None:
        """A small file of the data directory, None when it is absent, empty or not ours to read."""
        if self.data is None:
            return None
        try:
            return (self.data / name).read_text().strip() or None
        except OSError:
            return None

    def url(self) -> str | None:
        """The address, None for the default one."""
        return self.environment.get("PODIUM_URL") or self.read(ADDRESS_NAME)

    def key(self, *, admin: bool = False) -> str | None:
        """The key, None when there is none."""
        if admin:
            variables = ("PODIUM_ADMIN_KEY", "ADMIN_API_KEY")
            given = next((self.environment[name] for name in variables if self.environment.get(name)), None)
            if found := given or (None if self.environment.get("PODIUM_API_KEY") else self.read(ADMIN_KEY_NAME)):
                return found
        return self.environment.get("PODIUM_API_KEY") or self.read(DEV_KEY_NAME)


def find_data(start: Path, environment: Mapping[str, str], given: Path | None = None) -> Path | None:
    """The data directory: what is given, `PODIUM_DATA`, or the nearest `.podium`."""
    if given is not None:
        return given
    if environment.get("PODIUM_DATA"):
        return Path(environment["PODIUM_DATA"])
    candidates = (folder / DATA_NAME for folder in (start, *start.parents))
    return next((folder for folder in candidates if folder.is_dir()), None)


def find_settings(start: Path, environment: Mapping[str, str], given: Path | None, *, admin: bool) -> "ClientSettings":
    """Address and key for a client; waits a little for a `podium up` that is just starting.

    Raises:
        ConfigurationError: there is no key, or the address is none.
    """
    from podium.client.settings import read_settings

    end = time.monotonic() + APPEAR_SECONDS
    while True:
        place = Place(find_data(start, environment, given), environment)
        key = place.key(admin=admin)
        if key is not None:
            break
        if time.monotonic() > end:
            raise ConfigurationError(_missing(place))
        time.sleep(0.05)
    try:
        return read_settings(environment, place.url(), key)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _missing(place: Place) -> str:
    where = f"{place.data} holds no key" if place.data else f"no {DATA_NAME} in this directory or above it"
    return f"no key: PODIUM_API_KEY is not set and {where}\nstart the platform with `podium up`, or set PODIUM_API_KEY"
