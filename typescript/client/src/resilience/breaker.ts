import { PodiumConnectionError } from "../errors.ts";
import type { Timing } from "./timing.ts";

/** Consecutive failures that open the circuit. */
export const THRESHOLD = 5;

/** How long, in milliseconds, an open circuit refuses before it lets one call try. */
export const COOLDOWN_MS = 30_000;

/**
 * State of a circuit breaker. `since` is the moment (milliseconds) at which it opened, or its one trial call began.
 *
 * ```
 *  closed ──5 failures in a row──► open ──30 s──► half_open ──success──► closed
 *     ▲                              ▲                │
 *     └── success resets the count   └────failure─────┘     (half_open lets exactly one call through)
 * ```
 */
export interface Breaker {
  readonly circuit: "closed" | "open" | "half_open";
  readonly failures: number;
  readonly since: number;
}

/** A circuit nothing has happened to. */
export const CLOSED: Breaker = { circuit: "closed", failures: 0, since: 0 };

/** Milliseconds until a call may be tried; 0 when one may now. */
export function remaining(breaker: Breaker, now: number): number {
  return breaker.circuit === "closed" ? 0 : Math.max(0, breaker.since + COOLDOWN_MS - now);
}

/**
 * The state after a call was let through, undefined when it is refused. A trial call that never reports back stops
 * counting after another cooldown.
 */
export function entered(breaker: Breaker, now: number): Breaker | undefined {
  if (remaining(breaker, now) > 0) return undefined;
  return breaker.circuit === "closed" ? breaker : { circuit: "half_open", failures: breaker.failures, since: now };
}

/** The state after a call failed. */
export function failed(breaker: Breaker, now: number): Breaker {
  const failures = breaker.failures + 1;
  const opens = breaker.circuit !== "closed" || failures >= THRESHOLD;
  return opens ? { circuit: "open", failures, since: now } : { circuit: "closed", failures, since: 0 };
}

/** The state after a call ended without telling anything (it was aborted): the next trial may come at once. */
export function abandoned(breaker: Breaker, now: number): Breaker {
  if (breaker.circuit !== "half_open") return breaker;
  return { circuit: "open", failures: breaker.failures, since: now - COOLDOWN_MS };
}

/** Calls that share a circuit. */
export class CircuitBreaker {
  readonly #timing: Timing;
  #state: Breaker = CLOSED;

  constructor(timing: Timing) {
    this.#timing = timing;
  }

  /** Where the circuit stands. */
  get state(): Breaker {
    return this.#state;
  }

  /**
   * Runs `call` unless the circuit is open.
   *
   * @throws PodiumConnectionError what `call` threw; or, at once and without calling, that the circuit is open
   */
  async run<T>(operation: string, call: () => Promise<T>): Promise<T> {
    const after = entered(this.#state, this.#timing.now());
    if (after === undefined) throw this.#refusal(operation);
    this.#state = after;
    try {
      const result = await call();
      this.#state = CLOSED;
      return result;
    } catch (error) {
      this.#state = this.#after(error);
      throw error;
    }
  }

  #after(error: unknown): Breaker {
    const now = this.#timing.now();
    if (!(error instanceof PodiumConnectionError)) return abandoned(this.#state, now);
    return serviceFailed(error) ? failed(this.#state, now) : CLOSED;
  }

  #refusal(operation: string): PodiumConnectionError {
    const wait = remaining(this.#state, this.#timing.now());
    const detail = `Podium failed ${this.#state.failures} times in a row; not asked again for ${Math.ceil(wait / 1000)} s`;
    return new PodiumConnectionError(operation, { code: "unreachable", detail, retryAfterMs: wait });
  }
}

/** No answer, or one that blames the server: what may open a circuit. A refused request does not. */
export function serviceFailed(error: PodiumConnectionError): boolean {
  return error.retryable || error.status === undefined || error.status >= 500;
}
