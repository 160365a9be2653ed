"""What goes to the agent's process, held back while something must happen before it."""

from podium.coordinator.domain.ports import AgentProcess


class Outlet:
    """Sends to the process there is; what is sent while there is none is dropped."""

    def __init__(self) -> None:
        self.process: AgentProcess | None = None
        self._held: list[bytes] | None = None

    def send(self, data: bytes) -> None:
        """Packed frames, now or, while they are held back, in order at the release."""
        if self._held is not None:
            self._held.append(data)
        elif self.process is not None:
            self.process.send(data)

    def hold(self) -> None:
        """From now on nothing leaves."""
        if self._held is None:
            self._held = []

    def release(self) -> None:
        """Sends what was held back."""
        held, self._held = self._held, None
        if held and self.process is not None:
            self.process.send(b"".join(held))

    def connect(self, process: AgentProcess | None) -> None:
        """Another process, or none: what was held back for the last one is dropped."""
        self.process = process
        if process is None:
            self._held = None
