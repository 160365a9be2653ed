import type { Timing } from "../src/resilience/timing.ts";

interface Timer {
  readonly at: number;
  readonly act: () => void;
}

/** Lets everything that is ready to run, run. */
export async function settle(): Promise<void> {
  // Promises that settle promises need some rounds; none of them takes time.
  for (let round = 0; round < 50; round += 1) await Promise.resolve();
}

/** Time that passes only when a test says so. Timers run in order, each at its own moment. */
export class VirtualTime implements Timing {
  /** What `chance` gives. */
  luck: number;
  /** How long every timer was set for. */
  readonly asked: number[] = [];
  #now = 0;
  #timers: Timer[] = [];

  constructor(luck = 0.5) {
    this.luck = luck;
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.length;
  }

  now(): number {
    return this.#now;
  }

  chance(): number {
    return this.luck;
  }

  after(milliseconds: number, act: () => void): () => void {
    this.asked.push(milliseconds);
    const timer = { at: this.#now + milliseconds, act };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Lets this many milliseconds pass. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await settle();
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= end).sort((one, other) => one.at - other.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.act();
      await settle();
    }
    this.#now = end;
  }
}
