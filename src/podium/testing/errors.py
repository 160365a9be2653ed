"""Errors of the harness."""


class AgentHarnessError(Exception):
    """Base of what the harness raises."""


class AgentStartError(AgentHarnessError):
    """The agent could not be made, its state not be read, or `on_init` raised; the message has the traceback."""


class HarnessTimeoutError(AgentHarnessError):
    """What was waited for did not happen in time; the message lists what did."""


class StateBypassedError(AgentHarnessError):
    """The state was changed behind its methods (`heapq`, `list.append(state.items, …)`), so the change would be lost."""
