import { PING_INTERVAL_SECONDS } from "../wire/limits.ts";
import type { Timing } from "./timing.ts";

/** A connection on which nothing was heard for this long (milliseconds) is asked for a sign of life. */
export const QUIET_MS = PING_INTERVAL_SECONDS * 1000;

/** A peer that then gives none for this long (milliseconds) is gone. */
export const PONG_MS = QUIET_MS / 2;

/**
 * Finds out that a peer is gone though nothing says so: after a while of silence it asks, and what does not answer is
 * lost. It only ever has one timer, and none after `stop`.
 */
export class Heartbeat {
  readonly #timing: Timing;
  readonly #ask: () => void;
  readonly #lost: () => void;
  #heardAt: number;
  #cancel: () => void;

  /**
   * @param ask - sends something that will be answered
   * @param lost - told once that the peer is gone
   */
  constructor(timing: Timing, ask: () => void, lost: () => void) {
    this.#timing = timing;
    this.#ask = ask;
    this.#lost = lost;
    this.#heardAt = timing.now();
    this.#cancel = timing.after(QUIET_MS, () => this.#check());
  }

  /** Something came from the peer. */
  heard(): void {
    this.#heardAt = this.#timing.now();
  }

  /** It is over; no timer is left. */
  stop(): void {
    this.#cancel();
  }

  #check(): void {
    const left = this.#heardAt + QUIET_MS - this.#timing.now();
    if (left > 0) {
      this.#cancel = this.#timing.after(left, () => this.#check());
      return;
    }
    const heardBefore = this.#heardAt;
    this.#ask();
    this.#cancel = this.#timing.after(PONG_MS, () => {
      if (this.#heardAt === heardBefore) this.#lost();
      else this.#check();
    });
  }
}
