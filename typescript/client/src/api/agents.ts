import type { Agent, Forked, Moment, Rewound } from "../wire/rest.ts";
import { apiPath, CREATE_MS, given, REWIND_MS, uniqueId, type CallOptions } from "./call.ts";
import { readPages, type ListOptions } from "./pages.ts";
import type { Transport } from "./transport.ts";

/** What names a moment of an agent: a turn (its end) by its id, or the newest moment not after an event by its `seq`. */
export type MomentRef = number | string;

/** How an agent is forked. */
export interface ForkOptions extends CallOptions {
  /** Where the new agent begins; as the agent is now unless given. */
  readonly at?: MomentRef | undefined;
  /** Name of the new agent; one is made unless given. */
  readonly agentId?: string | undefined;
  /** A name of your own for the request: the same within 24 hours gives the same agent. A unique one is made unless given. */
  readonly idempotencyKey?: string | undefined;
}

/** How an agent is taken back. */
export interface RewindOptions extends CallOptions {
  /** Cancels a turn that runs or waits first; else it is in the way. */
  readonly cancel?: boolean | undefined;
}

/** `/api/v1/agents`: durable identities, their moments, forks and rewinds. Bodies have the names of the wire. */
export class Agents {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Agents by id, alive or not. */
  list(options?: ListOptions): AsyncGenerator<Agent, void> {
    return readPages(this.#transport, { operation: "listAgents", parts: ["agents"] }, options);
  }

  /** One agent. */
  get(agentId: string, options: CallOptions = {}): Promise<Agent> {
    return this.#transport.json({ ...options, operation: "getAgent", method: "GET", path: apiPath(["agents", agentId]) });
  }

  /** Erases an agent that has no instance alive: state, messages, logs, workspace. */
  async remove(agentId: string, options: CallOptions = {}): Promise<void> {
    await this.#transport.text({ ...options, operation: "removeAgent", method: "DELETE", path: apiPath(["agents", agentId]) });
  }

  /** Moments the agent can be forked at or taken back to, newest first. */
  moments(agentId: string, options?: ListOptions): AsyncGenerator<Moment, void> {
    return readPages(this.#transport, { operation: "listMoments", parts: ["agents", agentId, "moments"] }, options);
  }

  /** The moment `at` means. */
  async moment(agentId: string, at: MomentRef, options: CallOptions = {}): Promise<Moment> {
    const path = apiPath(["agents", agentId, "moments"], { at });
    const page = await this.#transport.json<{ items: [Moment] }>({ ...options, operation: "getMoment", method: "GET", path });
    return page.items[0];
  }

  /**
   * Makes an agent that begins as this one was: conversation, state and files. Its instance is asleep. Repeating it after a
   * lost answer gives the same agent: every call carries an `Idempotency-Key`.
   */
  fork(agentId: string, options: ForkOptions = {}): Promise<Forked> {
    return this.#transport.json({
      operation: "fork",
      method: "POST",
      path: apiPath(["agents", agentId, "fork"]),
      json: given({ at: options.at, agent_id: options.agentId }),
      headers: { "Idempotency-Key": options.idempotencyKey ?? uniqueId() },
      limitMs: CREATE_MS,
      signal: options.signal,
    });
  }

  /** Takes the agent back: conversation, state and files. `undo` of the answer names the way back. */
  rewind(agentId: string, at: MomentRef, options: RewindOptions = {}): Promise<Rewound> {
    return this.#transport.json({
      operation: "rewind",
      method: "POST",
      path: apiPath(["agents", agentId, "rewind"], { cancel: options.cancel || undefined }),
      json: { at },
      limitMs: REWIND_MS,
      repeatable: false,
      signal: options.signal,
    });
  }
}
