/** The class authors subclass. */

import type { AgentContext } from "./context.ts";
import { AgentUsageError } from "./errors.ts";
import type { DeltaState, Json } from "./state/index.ts";
import type { AgentInput } from "./turn.ts";

/** The configuration of an instance: the manifest's defaults, and what was laid over them. */
export type AgentConfig = Readonly<Record<string, unknown>>;

/** A class of states: `static version`, `static entityType`, and perhaps `static migrate(data, fromVersion)`. */
export interface StateClass<S extends DeltaState = DeltaState> {
  new (): S;
  /** The version of the class's layout. */
  readonly version: number;
  /** Names the kind of state for tools. */
  readonly entityType?: string;
  /** Turns stored data of a lower version into what this class declares. */
  migrate(data: Record<string, Json>, fromVersion: number): Record<string, Json>;
}

/** What can be listened to with `this.on`, and what a listener is called with. */
export interface AgentEvents<S extends DeltaState = DeltaState> {
  /** Before `onInit`. */
  init: [ctx: AgentContext<S>];
  /** Before `onMessage`. */
  message: [ctx: AgentContext<S>, input: AgentInput];
  /** A steer reached the running turn. */
  steer: [text: string];
  /** The running turn is to end. */
  cancel: [];
  /** Before `onConfigChange`. */
  configChange: [ctx: AgentContext<S>, changes: Readonly<Record<string, unknown>>];
  /** Before `onShutdown`. */
  shutdown: [ctx: AgentContext<S>];
}

/** A function that is told of an event. */
export type AgentListener<S extends DeltaState, Event extends keyof AgentEvents<S>> = (
  ...args: AgentEvents<S>[Event]
) => void | Promise<void>;

const EVENTS: readonly string[] = ["init", "message", "steer", "cancel", "configChange", "shutdown"];

/**
 * An agent: override the hooks it needs. All of them run in one event loop, in the agent's own process.
 *
 * A static `State`, a subclass of `DeltaState`, makes the agent's state durable; it is found at `ctx.state`.
 */
export class BaseAgent<S extends DeltaState = DeltaState> {
  /** The class of its state; undefined: it keeps none. */
  static State: StateClass<any> | undefined = undefined;

  /** The configuration as it is now. */
  config: AgentConfig;

  readonly #listeners = new Map<string, Set<unknown>>();

  constructor(config: AgentConfig = {}) {
    this.config = config;
  }

  /** Once per process, before the first message; an exception means that the agent can't start. */
  onInit(_ctx: AgentContext<S>): void | Promise<void> {}

  /**
   * One turn. An exception ends the turn with an `error` event; the agent lives on.
   *
   * Cancellation makes calls of `ctx` throw `TurnCancelled`. After a crash the turn is run again, with `ctx.turn.attempt`
   * one higher and the state as it was last sent.
   */
  onMessage(_ctx: AgentContext<S>, _input: AgentInput): void | Promise<void> {}

  /**
   * Work beside turns, begun once after `onInit`; `ctx.signal` is aborted when the process is about to end.
   * An exception is logged; the agent lives on.
   */
  run(_ctx: AgentContext<S>): void | Promise<void> {}

  /** The configuration changed; `ctx.config` is already the new one. May run beside a turn. */
  onConfigChange(_ctx: AgentContext<S>, _changes: Readonly<Record<string, unknown>>): void | Promise<void> {}

  /** Nothing happened for a while: may the agent be put to sleep? False, or an exception, defers it. */
  onIdleTimeout(_ctx: AgentContext<S>): boolean | Promise<boolean> {
    return true;
  }

  /** The process is about to end; at most 5 s. */
  onShutdown(_ctx: AgentContext<S>): void | Promise<void> {}

  /**
   * Calls `listener` at every `event`; returns a function that ends it. Its exception counts as one of the hook.
   *
   * @throws AgentUsageError there is no such event.
   */
  on<Event extends keyof AgentEvents<S>>(event: Event, listener: AgentListener<S, Event>): () => void {
    if (!EVENTS.includes(event)) {
      throw new AgentUsageError(`there is no event ${JSON.stringify(event)}; there are ${EVENTS.join(", ")}`);
    }
    const listeners = this.#listeners.get(event) ?? new Set<unknown>();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** The listeners of `event`, as they are now; for the SDK. */
  listenersOf<Event extends keyof AgentEvents<S>>(event: Event): AgentListener<S, Event>[] {
    return [...(this.#listeners.get(event) ?? [])] as AgentListener<S, Event>[];
  }
}
