"""What a promise is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """One thing users may rely on."""

    id: str
    source: str
    """Document and section that make the promise."""
    text: str
    open: str | None = None
    """Why no test proves it yet; None when one does."""
