/** Run an agent in-process, without a server, and assert on what it said: `import { AgentHarness } from "@podium/ts/testing"`. */

export { AgentHarnessError, AgentStartError, HarnessTimeoutError, StateBypassedError } from "./testing/errors.ts";
export { AgentHarness, type HarnessOptions, type Responder, type StoredState } from "./testing/harness.ts";
export { HarnessEvent, type HarnessTurn } from "./testing/turn.ts";
