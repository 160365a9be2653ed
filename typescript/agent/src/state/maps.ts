/** A Map of the state, stored as an object. */

import { register } from "./admission.ts";
import type { Json } from "./json.ts";
import { Members } from "./members.ts";
import { nodeOf, pathOf, show } from "./node.ts";
import { checkedKey } from "./scalars.ts";
import type { Shape } from "./shapes.ts";

const { set, delete: drop } = Map.prototype;

/** The hidden side of a Map. */
export class MapNode extends Members {
  override readonly kind = "map";
  override readonly face: Map<string, unknown> = new TrackedMap();

  constructor(inner: Shape | null) {
    super();
    this.inner = inner;
    show(this.face, this);
  }

  override get size(): number {
    return this.face.size;
  }

  override holds(name: string): boolean {
    return this.face.has(name);
  }

  override read(name: string): unknown {
    return this.face.get(name);
  }

  override put(name: string, value: unknown): void {
    set.call(this.face, name, value);
  }

  override drop(name: string): void {
    drop.call(this.face, name);
  }

  override pairs(): Iterable<readonly [string, unknown]> {
    return this.face;
  }
}

/** What authors hold: a Map whose changes are recorded. Keys are strings. */
class TrackedMap extends Map<string, unknown> {
  override set(key: string, value: unknown): this {
    const node = nodeOf(this) as MapNode;
    node.assign(checkedKey(key, () => pathOf(node)), value);
    return this;
  }

  override delete(key: string): boolean {
    return (nodeOf(this) as MapNode).remove(key);
  }

  override clear(): void {
    (nodeOf(this) as MapNode).clear();
  }

  /** As `Map.prototype.getOrInsert`; gives what is stored. */
  getOrInsert(key: string, value: unknown): unknown {
    if (!this.has(key)) this.set(key, value);
    return this.get(key);
  }

  /** As `Map.prototype.getOrInsertComputed`; gives what is stored. */
  getOrInsertComputed(key: string, compute: (key: string) => unknown): unknown {
    return this.has(key) ? this.get(key) : this.getOrInsert(key, compute(key));
  }

  /** The object it is stored as, for `JSON.stringify`. */
  toJSON(): Json {
    return (nodeOf(this) as MapNode).snapshot();
  }
}

// To a reader it is a plain Map: comparing libraries look at the constructor.
Object.defineProperty(TrackedMap.prototype, "constructor", { value: Map });

register("map", (inner) => new MapNode(inner));
