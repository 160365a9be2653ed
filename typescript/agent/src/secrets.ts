/** The secrets of an instance. */

/** Secrets by name. Printing it, or making JSON of it, shows the names, never the values. */
export class Secrets implements Iterable<string> {
  readonly #values: ReadonlyMap<string, string>;

  constructor(values: Readonly<Record<string, string>>) {
    this.#values = new Map(Object.entries(values));
  }

  /** The secret called `name`; undefined when there is none. */
  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  /** Whether there is a secret called `name`. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The names. */
  keys(): IterableIterator<string> {
    return this.#values.keys();
  }

  /** How many there are. */
  get size(): number {
    return this.#values.size;
  }

  /** The names. */
  [Symbol.iterator](): IterableIterator<string> {
    return this.keys();
  }

  /** The names. */
  toString(): string {
    return `Secrets(${[...this.keys()].map((name) => `${name}=…`).join(", ")})`;
  }

  /** The names, in place of the object. */
  toJSON(): string {
    return this.toString();
  }

  /** The names, for `console.log` and `util.inspect`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}
