"""From a change seen to a change recorded: capture, journal, recorder, and what makes up for a crash."""

from chronicle.recording.contents import SETTLE_INLINE
from chronicle.recording.queue import Limits
from chronicle.recording.reconcile import reconcile
from chronicle.recording.recorder import Recorder
from chronicle.recording.tokens import Token

__all__ = ["SETTLE_INLINE", "Limits", "Recorder", "Token", "reconcile"]
