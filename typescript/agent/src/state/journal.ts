/** The operations recorded since they were last taken, and the plain containers the state was given. */

import type { Operation } from "./json.ts";
import type { Node } from "./node.ts";

/** What happened to one state. `notify` is called when the first operation after a `take` is recorded. */
export class Journal {
  readonly #notify: () => void;
  readonly #sources = new WeakMap<object, Node>();
  #operations: Operation[] = [];

  constructor(notify: () => void) {
    this.#notify = notify;
  }

  /** Appends an operation; a second replacement of the same place in a row takes the place of the first. */
  record(operation: Operation): void {
    const operations = this.#operations;
    const last = operations[operations.length - 1];
    if (last === undefined) {
      operations.push(operation);
      this.#notify();
    } else if (operation.op === "replace" && last.op === "replace" && last.path === operation.path) {
      operations[operations.length - 1] = operation;
    } else {
      operations.push(operation);
    }
  }

  /** The recorded operations, in order; they are then forgotten. */
  take(): Operation[] {
    const taken = this.#operations;
    this.#operations = [];
    return taken;
  }

  /** `node` was made from the plain container `source`: a second assignment of the same one is noticed. */
  rememberSource(source: object, node: Node): void {
    this.#sources.set(source, node);
  }

  /** The node made from this very container, if any; it may have left the state since. */
  madeFrom(source: object): Node | undefined {
    return this.#sources.get(source);
  }
}
