/** Errors of the harness. */

/** Base of what the harness throws. */
export class AgentHarnessError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** The agent could not be made, its state not be read, or `onInit` threw; the message has the stack. */
export class AgentStartError extends AgentHarnessError {}

/** What was waited for did not happen in time; the message lists what did. */
export class HarnessTimeoutError extends AgentHarnessError {}

/** The state of the agent is another than its operations led to, so something would be lost. */
export class StateBypassedError extends AgentHarnessError {}
