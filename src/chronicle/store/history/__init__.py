"""The history of a workspace: which path was what at which moment, in SQLite databases that only ever grow."""

from chronicle.store.history.history import History, HistoryBatch, begin

__all__ = ["History", "HistoryBatch", "begin"]
