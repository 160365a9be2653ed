import { delayBefore, type RetryPolicy } from "../resilience/retry.ts";
import { CLOSE_CODES } from "../wire/errors.ts";

/** Waits between tries to get a lost stream back: 0 to 100 ms, doubling up to 5 s. */
export const RECONNECT: RetryPolicy = { first: 100, longest: 5_000, retries: Infinity };

/** A stream that can't be had back for this long (milliseconds) ends with an error. */
export const GIVE_UP_MS = 300_000;

/** A connection that lived less long (milliseconds) counts as a failed try, so that a server that drops everyone is not hammered. */
export const SHORT_LIFE_MS = 1_000;

/** What follows the end of a connection. */
export type Next = "at_once" | "later" | "end";

const FINAL: ReadonlySet<number> = new Set([
  CLOSE_CODES.TOO_LARGE,
  CLOSE_CODES.BAD_FRAMES,
  CLOSE_CODES.UNAUTHENTICATED,
  CLOSE_CODES.NOT_FOUND,
  CLOSE_CODES.STOPPED,
  CLOSE_CODES.RESUME_GONE,
]);
const AT_ONCE: ReadonlySet<number> = new Set([CLOSE_CODES.MOVING, CLOSE_CODES.SLOW_CONSUMER]);

/** What to do after a connection closed with `code`; undefined: it broke without one. */
export function afterClose(code: number | undefined): Next {
  if (code === undefined) return "later";
  if (FINAL.has(code)) return "end";
  return AT_ONCE.has(code) ? "at_once" : "later";
}

/** Milliseconds before try number `attempt` (from 1). */
export function waitBefore(attempt: number, following: Next, chance: number): number {
  if (following === "at_once" && attempt === 1) return 0;
  return delayBefore(RECONNECT, attempt, chance) ?? 0;
}
