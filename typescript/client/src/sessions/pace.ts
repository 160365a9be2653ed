import { MESSAGES_MAX, MESSAGES_WINDOW_MS } from "./wire/limits.ts";

/** Messages of the server's allowance that are left for signs of life, and for what arrives closer together than it was sent. */
export const RESERVE = 10;

/** How fast a connection may send: as many messages in any window of time as the server reads, less a reserve. Milliseconds. */
export class Pace {
  #moments: number[] = [];
  #notBefore = 0;

  /** How long to wait before the next message; 0: it may go now. */
  wait(now: number): number {
    this.#moments = this.#moments.filter((moment) => moment > now - MESSAGES_WINDOW_MS);
    const oldest = this.#moments[0];
    const room = oldest === undefined || this.#moments.length < MESSAGES_MAX - RESERVE ? 0 : oldest + MESSAGES_WINDOW_MS - now;
    return Math.max(room, this.#notBefore - now, 0);
  }

  /** One was sent. */
  sent(now: number): void {
    this.#moments.push(now);
  }

  /** The server has had enough: nothing more until then. */
  hold(until: number): void {
    this.#notBefore = Math.max(this.#notBefore, until);
  }
}
