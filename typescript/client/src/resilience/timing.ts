/** What the client's resilience needs of the world. Milliseconds everywhere. A test gives one whose time jumps. */
export interface Timing {
  /** Milliseconds that never go back. */
  now(): number;
  /** Runs `act` once after that many milliseconds; what it returns cancels it. */
  after(milliseconds: number, act: () => void): () => void;
  /** A number from 0 (included) to 1 (excluded), for jitter. */
  chance(): number;
}

/** The host's monotonic clock, its timers and its chance. */
export const systemTiming: Timing = {
  now: () => performance.now(),
  after: (milliseconds, act) => {
    const timer = setTimeout(act, milliseconds);
    return () => clearTimeout(timer);
  },
  chance: () => Math.random(),
};

/** Waits that many milliseconds. Rejects at once with the signal's reason when it is aborted; no timer is left then. */
export function sleep(timing: Timing, milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const abandon = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = timing.after(milliseconds, () => {
      signal?.removeEventListener("abort", abandon);
      resolve();
    });
    signal?.addEventListener("abort", abandon, { once: true });
  });
}

/** What `promise` gives, or a rejection with the signal's reason when that is aborted first. The work itself goes on. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abandon = (): void => reject(signal.reason);
    if (signal.aborted) abandon();
    signal.addEventListener("abort", abandon, { once: true });
    const done = (): void => signal.removeEventListener("abort", abandon);
    promise.then(
      (value) => (done(), resolve(value)),
      (error: unknown) => (done(), reject(error)),
    );
  });
}
