/** Work that is under way, by key: whoever asks for the same meanwhile waits for the first instead of doing it again. */
export class SingleFlight<T> {
  readonly #flying = new Map<string, Promise<T>>();

  /** How many different things are under way. */
  get size(): number {
    return this.#flying.size;
  }

  /** The outcome of `work`, or of the work that is under way for `key`. It is forgotten when it is over, well or badly. */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const flying = this.#flying.get(key);
    if (flying !== undefined) return flying;
    const flight = work().finally(() => this.#flying.delete(key));
    this.#flying.set(key, flight);
    return flight;
  }
}
