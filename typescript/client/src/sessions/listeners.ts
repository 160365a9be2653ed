/** Functions that are told of something, in the order in which they came. */
export class Listeners<T> {
  readonly #listeners = new Set<(value: T) => void>();

  /** How many there are. */
  get size(): number {
    return this.#listeners.size;
  }

  /** Adds one; what this returns takes it out again. */
  add(listener: (value: T) => void): () => void {
    const entry = (value: T): void => listener(value);
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  /** Tells all. One that throws is no reason for the others, or for us, to stop: the error is reported as an uncaught one. */
  tell(value: T): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
