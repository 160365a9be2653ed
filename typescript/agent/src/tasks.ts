/** The one way the SDK starts work that nobody awaits: named, owned, its failure seen. */

import { settledWithin } from "./waiting.ts";

/** Work of one instance. `failed` is told of work that ended with an exception. */
export class AgentTasks {
  readonly #failed: (name: string, error: unknown) => void;
  readonly #running = new Map<Promise<void>, string>();

  constructor(failed: (name: string, error: unknown) => void) {
    this.#failed = failed;
  }

  /** Starts `work` when the code that runs now has given way. */
  start(name: string, work: () => unknown): void {
    const task: Promise<void> = Promise.resolve()
      .then(work)
      .then(
        () => undefined,
        (error: unknown) => this.#failed(name, error),
      )
      .finally(() => this.#running.delete(task));
    this.#running.set(task, name);
  }

  /** Waits for what runs, at most `milliseconds`; not for what is called `except`. */
  async close(milliseconds: number, except?: string): Promise<void> {
    const pending = [...this.#running].filter(([, name]) => name !== except).map(([task]) => task);
    if (pending.length > 0) await settledWithin(milliseconds, Promise.all(pending));
  }
}
