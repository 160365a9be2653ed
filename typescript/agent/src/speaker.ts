/** What the parts of a context say things with. */

import type { AgentEventName, EventContents } from "./wire/events.ts";
import type { UnsettledCall } from "./turn.ts";

/** Says things in a turn, or outside any. */
export interface Speaker {
  /**
   * Sends an event at once. `keep` is a tool call that this event does not settle.
   *
   * @throws AgentUsageError the turn is over, or JSON can't hold the content.
   */
  tell<Name extends AgentEventName>(name: Name, content: EventContents[Name], keep?: UnsettledCall): void;

  /**
   * Waits while the coordinator is far behind.
   *
   * @throws TurnCancelled the turn is to end.
   */
  room(): Promise<void>;

  /** The same for what may still be said when the turn was cancelled. */
  roomEvenCancelled(): Promise<void>;

  /**
   * @throws TurnCancelled the turn is to end.
   */
  requireRunning(): void;

  /** Tool calls whose arguments were not sent yet. */
  readonly unsettled: UnsettledCall[];

  /** Aborted when the turn is to end. */
  readonly signal: AbortSignal;
}
