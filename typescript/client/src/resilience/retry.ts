import { PodiumConnectionError } from "../errors.ts";
import { sleep, type Timing } from "./timing.ts";

/** A server that asks for a longer pause (milliseconds) is believed, and the call fails now. */
export const RETRY_AFTER_MAX_MS = 30_000;

/**
 * Exponential back-off with full jitter: before retry n the wait is drawn from 0 to `first` · 2ⁿ⁻¹, at most `longest`.
 * Milliseconds. `retries` counts the tries after the first.
 */
export interface RetryPolicy {
  readonly first: number;
  readonly longest: number;
  readonly retries: number;
}

/** Requests: 500 ms, 1 s, 2 s, (4 s); at most 3 retries. */
export const CALLS: RetryPolicy = { first: 500, longest: 4_000, retries: 3 };

/** Requests that are tried once. */
export const NEVER: RetryPolicy = { ...CALLS, retries: 0 };

/** Longest wait, in milliseconds, before the retry with this number (from 1). */
export function ceiling(policy: RetryPolicy, retry: number): number {
  return Math.min(policy.longest, policy.first * 2 ** Math.min(retry - 1, 30));
}

/**
 * Milliseconds to wait before retry number `retry` (from 1); undefined when it shall not be tried.
 *
 * @param chance - in [0, 1), spreads clients
 * @param retryAfter - what the server asked for, in milliseconds: the least that is waited
 */
export function delayBefore(policy: RetryPolicy, retry: number, chance: number, retryAfter = 0): number | undefined {
  if (retry > policy.retries || retryAfter > RETRY_AFTER_MAX_MS) return undefined;
  return Math.max(ceiling(policy, retry) * chance, retryAfter);
}

/**
 * Runs `call` until it succeeds, fails for good, or the policy is used up; the last error is thrown. An aborted `signal`
 * ends it at once, also in the middle of a wait.
 */
export async function withRetry<T>(
  policy: RetryPolicy,
  timing: Timing,
  call: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  for (let retry = 1; ; retry += 1) {
    let delay: number | undefined;
    try {
      return await call();
    } catch (error) {
      if (error instanceof PodiumConnectionError && error.retryable) {
        delay = delayBefore(policy, retry, timing.chance(), error.retryAfterMs);
      }
      if (delay === undefined) throw error;
    }
    await sleep(timing, delay, signal);
  }
}
