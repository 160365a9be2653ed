/** A Set of the state, stored as a sorted array: null, then numbers and booleans by value, then strings by code points. */

import { checkedElement, register } from "./admission.ts";
import { compareText, type Json } from "./json.ts";
import { type Change, Node, nodeOf, noteShortest, noteWhole, pathOf, show } from "./node.ts";
import type { Scalar } from "./scalars.ts";

const { add, delete: drop, clear } = Set.prototype;

/** The hidden side of a Set. */
export class SetNode extends Node {
  override readonly kind = "set";
  override readonly face: Set<unknown> = new TrackedSet();
  /** The elements as they are stored; null when that is not known. */
  #order: Scalar[] | null = null;

  constructor() {
    super();
    show(this.face, this);
  }

  override get size(): number {
    return this.face.size;
  }

  override put(_name: string | number, value: unknown): void {
    add.call(this.face, value);
    this.#order = null;
  }

  override pairs(): Iterable<readonly [string | number, unknown]> {
    return this.#inOrder().entries();
  }

  override snapshot(): Json {
    return [...this.#inOrder()];
  }

  /** Puts `values` in; all or, when one is refused, none. */
  include(values: Iterable<unknown>): void {
    const path = pathOf(this);
    const changes: Change[] = [];
    for (const value of Array.from(values, (each) => checkedElement(each, path))) {
      if (this.face.has(value)) continue;
      const order = this.#inOrder();
      const at = placeIn(order, value);
      changes.push({ op: "add", at: at === order.length ? "/-" : `/${at}`, value });
      order.splice(at, 0, value);
      add.call(this.face, value);
    }
    noteShortest(this, changes);
  }

  /** Takes `value` out. False when it is not in. */
  remove(value: unknown): boolean {
    if (!this.face.has(value)) return false;
    const order = this.#inOrder();
    const at = placeIn(order, value as Scalar);
    order.splice(at, 1);
    drop.call(this.face, value);
    noteShortest(this, [{ op: "remove", at: `/${at}` }]);
    return true;
  }

  /** Takes all out: one replacement. */
  clear(): void {
    if (this.size === 0) return;
    clear.call(this.face);
    this.#order = null;
    noteWhole(this);
  }

  #inOrder(): Scalar[] {
    this.#order ??= Array.from(this.face as Set<Scalar>).sort(compare);
    return this.#order;
  }
}

/** What authors hold: a Set whose changes are recorded. */
class TrackedSet extends Set<unknown> {
  override add(value: unknown): this {
    (nodeOf(this) as SetNode).include([value]);
    return this;
  }

  override delete(value: unknown): boolean {
    return (nodeOf(this) as SetNode).remove(value);
  }

  override clear(): void {
    (nodeOf(this) as SetNode).clear();
  }

  /** The sorted array it is stored as, for `JSON.stringify`. */
  toJSON(): Json {
    return (nodeOf(this) as SetNode).snapshot();
  }
}

Object.defineProperty(TrackedSet.prototype, "constructor", { value: Set });

/** Where `value` is in `order`, or belongs. */
function placeIn(order: readonly Scalar[], value: Scalar): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(order[middle] as Scalar, value) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The stored order. `1` comes before `true`, and `0` before `false`, which Python can't hold both. */
function compare(left: Scalar, right: Scalar): number {
  if (typeof left === "string" && typeof right === "string") return compareText(left, right);
  const ranked = rank(left) - rank(right);
  if (ranked !== 0) return ranked;
  const valued = Number(left) - Number(right);
  return valued !== 0 ? valued : Number(typeof left === "boolean") - Number(typeof right === "boolean");
}

function rank(value: Scalar): number {
  if (value === null) return 0;
  return typeof value === "string" ? 2 : 1;
}

register("set", () => new SetNode());
