"""Typed client of Podium's public API, with retry, circuit breaker and resuming streams inside.

```python
async with PodiumClient() as podium:
    instance_id, _ = await podium.create_instance("counter")
    async with await podium.connect(instance_id) as stream:
        await stream.send_message("hello")
        async for event in stream.events:
            ...
```
"""

from podium.client.client import CreatedInstance as CreatedInstance
from podium.client.client import PodiumClient as PodiumClient
from podium.client.connection import PodiumConnection as PodiumConnection
from podium.client.errors import PodiumConnectionError as PodiumConnectionError
from podium.client.event import PodiumEvent as PodiumEvent
from podium.client.files import FileContent as FileContent
from podium.client.files import FileEntry as FileEntry
from podium.client.files import IterationMeta as IterationMeta
from podium.client.settings import ClientSettings as ClientSettings
from podium.client.settings import read_settings as read_settings
from podium.client.timing import Timing as Timing
