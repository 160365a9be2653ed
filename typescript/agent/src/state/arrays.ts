/** An array of the state. */

import { Admission, admit, jsonOf, register } from "./admission.ts";
import { StateValueError } from "./errors.ts";
import type { Json } from "./json.ts";
import { type Change, leave, Node, nodeOf, note, noteRemoved, noteShortest, noteWhole, pathOf, segment, show } from "./node.ts";
import { isSimple, stored } from "./scalars.ts";
import type { Shape } from "./shapes.ts";
import { isPlainValue, refuseDefinition, refuseFreezing, refuseSymbol } from "./traps.ts";

/** More elements than these having moved, an array is written whole without comparing lengths. */
const MOVED_ALONE_MAX = 16;

const native = Array.prototype;

/** The hidden side of an array, and the handler of its proxy. */
export class ArrayNode extends Node implements ProxyHandler<unknown[]> {
  override readonly kind = "array";
  override readonly elements: unknown[] = new TrackedArray();
  override readonly face: unknown[] = new Proxy(this.elements, this);

  constructor(inner: Shape | null) {
    super();
    this.inner = inner;
    show(this.face, this);
  }

  override get size(): number {
    return this.elements.length;
  }

  override put(_name: string | number, value: unknown): void {
    this.elements[this.elements.length] = value;
  }

  override pairs(): Iterable<readonly [number, unknown]> {
    return this.elements.entries();
  }

  override snapshot(): Json {
    return Array.from(this.elements, jsonOf);
  }

  // ── one element ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Puts `value` behind the others: `add …/-`. */
  append(value: unknown): void {
    const [taken, json] = this.#admitted(value, this.size, "/-", undefined);
    this.put("", taken);
    note(this, "add", "/-", json);
  }

  /** Puts `value` before the element at `index`: `add …/index`. */
  insert(index: number, value: unknown): void {
    const [taken, json] = this.#admitted(value, index, `/${index}`, undefined);
    native.splice.call(this.elements, index, 0, taken);
    note(this, "add", `/${index}`, json);
  }

  /** Puts `value` in the place of the element at `index`: `replace …/index`. */
  exchange(index: number, value: unknown): void {
    const old = this.elements[index];
    if (old === value) return;
    const [taken, json] = this.#admitted(value, index, `/${index}`, old);
    this.elements[index] = taken;
    note(this, "replace", `/${index}`, json);
  }

  /** Takes the element at `index` out: `remove …/index`. */
  extract(index: number): unknown {
    const [value] = native.splice.call(this.elements, index, 1);
    leave(value, this);
    noteRemoved(this, `/${index}`);
    return value;
  }

  #admitted(value: unknown, index: number, at: string, old: unknown): readonly [unknown, Json] {
    if (this.inner === null && isSimple(value)) {
      leave(old, this);
      const scalar = stored(value);
      return [scalar, scalar];
    }
    return admit(this, value, index, this.inner, old, at);
  }

  // ── many elements ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Puts `values` behind the others; all or, when one is refused, none. */
  extend(values: readonly unknown[]): void {
    const [taken, json] = this.#admittedAll(values, this.size, []);
    native.splice.call(this.elements, this.size, 0, ...taken);
    noteShortest(this, json.map((value): Change => ({ op: "add", at: "/-", value })));
  }

  /** Puts `values` in the place of `count` elements from `start` on, and gives those. */
  splice(start: number, count: number, values: readonly unknown[]): unknown[] {
    const old = native.slice.call(this.elements, start, start + count);
    const [taken, json] = this.#admittedAll(values, start, old);
    const everything = old.length === this.size;
    native.splice.call(this.elements, start, count, ...taken);
    if (everything && old.length + taken.length > 0) noteWhole(this);
    else noteShortest(this, splicing(start, old, taken, json, this.size));
    return old;
  }

  /** Puts `values` in the place of as many elements from `start` on; only those that differ are written. */
  overwrite(start: number, values: readonly unknown[]): void {
    const places = values.map((_, at) => at).filter((at) => this.elements[start + at] !== values[at]);
    const admission = new Admission(this, places.map((at) => this.elements[start + at]));
    const taken = places.map((at) => admission.take(values[at], start + at, this.inner));
    const json = admission.finish(taken);
    const changes = places.map((at, n): Change => {
      this.elements[start + at] = taken[n];
      return { op: "replace", at: `/${start + at}`, value: json[n] as Json };
    });
    noteShortest(this, changes);
  }

  /** Puts the elements in the order `arrange` gives a copy of them; those that moved are replaced, or all when that is shorter. */
  reorder(arrange: (copy: unknown[]) => void): void {
    const before = native.slice.call(this.elements);
    const after = [...before];
    arrange(after);
    if (before.length !== this.size || before.some((value, at) => value !== this.elements[at])) {
      throw new StateValueError(pathOf(this), "the array was changed while it was sorted");
    }
    for (const [at, value] of after.entries()) this.elements[at] = value;
    const moved = before.map((_, at) => at).filter((at) => before[at] !== after[at]);
    if (moved.length > MOVED_ALONE_MAX) noteWhole(this);
    else noteShortest(this, moved.map((at): Change => ({ op: "replace", at: `/${at}`, value: jsonOf(after[at]) })));
  }

  #admittedAll(values: readonly unknown[], first: number, old: readonly unknown[]): [unknown[], Json[]] {
    const admission = new Admission(this, old);
    const taken = values.map((value, n) => admission.take(value, first + n, this.inner));
    return [taken, admission.finish(taken)];
  }

  // ── traps; reading needs none: elements are stored as authors see them ────────────────────────────────────────

  set(target: unknown[], key: string | symbol, value: unknown, receiver: unknown): boolean {
    if (receiver !== this.face) return Reflect.set(target, key, value, receiver);
    if (typeof key === "symbol") refuseSymbol(this, key);
    if (key === "length") return this.#resize(value);
    const index = indexOf(key);
    if (index === null) {
      throw new StateValueError(pathOf(this) + segment(key), "an array holds elements only, no named members");
    }
    if (index > this.size) {
      throw new StateValueError(`${pathOf(this)}/${index}`, `an array can't have holes, it has ${this.size} elements`);
    }
    if (index === this.size) this.append(value);
    else this.exchange(index, value);
    return true;
  }

  deleteProperty(target: unknown[], key: string | symbol): boolean {
    if (!Object.hasOwn(target, key)) return true;
    if (key === "length") return false;
    throw new StateValueError(pathOf(this) + segment(String(key)), "an array can't have holes: use splice");
  }

  defineProperty(_target: unknown[], key: string | symbol, described: PropertyDescriptor): boolean {
    if (!isPlainValue(described)) refuseDefinition(this, key);
    return this.set(this.elements, key, described.value, this.face);
  }

  getPrototypeOf(): object {
    return native;
  }

  setPrototypeOf(): boolean {
    return refuseFreezing(this);
  }

  preventExtensions(): boolean {
    return refuseFreezing(this);
  }

  #resize(length: unknown): boolean {
    const size = Number(length);
    if (size < this.size && size >= 0) this.splice(size, this.size - size, []);
    else if (size !== this.size) {
      throw new StateValueError(pathOf(this), `an array can't have holes, it has ${this.size} elements`);
    }
    return true;
  }
}

/** What the proxy of an array stands for: its methods record. Authors see it as a plain `Array`. */
class TrackedArray extends Array<unknown> {
  override push(...values: unknown[]): number {
    const node = nodeOf(this) as ArrayNode;
    if (values.length === 1) node.append(values[0]);
    else node.extend(values);
    return node.size;
  }

  override pop(): unknown {
    const node = nodeOf(this) as ArrayNode;
    return node.size === 0 ? undefined : node.extract(node.size - 1);
  }

  override shift(): unknown {
    const node = nodeOf(this) as ArrayNode;
    return node.size === 0 ? undefined : node.extract(0);
  }

  override unshift(...values: unknown[]): number {
    const node = nodeOf(this) as ArrayNode;
    if (node.size === 0) this.push(...values);
    else if (values.length === 1) node.insert(0, values[0]);
    else node.splice(0, 0, values);
    return node.size;
  }

  override splice(...given: [start?: number, count?: number, ...values: unknown[]]): unknown[] {
    const node = nodeOf(this) as ArrayNode;
    const [start, count, ...values] = given;
    if (given.length === 0) return [];
    const from = relative(start, node.size, 0);
    const rest = node.size - from;
    return node.splice(from, given.length === 1 ? rest : Math.max(0, Math.min(whole(count), rest)), values);
  }

  override sort(compare?: (left: unknown, right: unknown) => number): this {
    (nodeOf(this) as ArrayNode).reorder((copy) => copy.sort(compare));
    return this;
  }

  override reverse(): this {
    (nodeOf(this) as ArrayNode).reorder((copy) => copy.reverse());
    return this;
  }

  override fill(value: unknown, start?: number, end?: number): this {
    const node = nodeOf(this) as ArrayNode;
    const from = relative(start, node.size, 0);
    node.overwrite(from, new Array(Math.max(0, relative(end, node.size, node.size) - from)).fill(value));
    return this;
  }

  override copyWithin(target: number, start: number, end?: number): this {
    const node = nodeOf(this) as ArrayNode;
    const copied = native.slice.call(node.elements, start, end);
    const to = relative(target, node.size, 0);
    node.overwrite(to, copied.slice(0, node.size - to));
    return this;
  }

  /** Plain values for `JSON.stringify`. */
  toJSON(): Json {
    return (nodeOf(this) as ArrayNode).snapshot();
  }
}

// Methods that make arrays make plain ones.
Object.defineProperty(TrackedArray.prototype, "constructor", { value: Array });

function splicing(start: number, old: unknown[], taken: unknown[], json: Json[], size: number): Change[] {
  const changes: Change[] = [];
  const shared = Math.min(old.length, taken.length);
  for (let n = 0; n < shared; n++) {
    if (old[n] !== taken[n]) changes.push({ op: "replace", at: `/${start + n}`, value: json[n] as Json });
  }
  for (let n = old.length - 1; n >= shared; n--) changes.push({ op: "remove", at: `/${start + n}` });
  const atEnd = start + taken.length === size;
  for (let n = shared; n < taken.length; n++) {
    changes.push({ op: "add", at: atEnd ? "/-" : `/${start + n}`, value: json[n] as Json });
  }
  return changes;
}

/** The index `key` names; null when it names none. */
function indexOf(key: string): number | null {
  const index = Number(key);
  return Number.isSafeInteger(index) && index >= 0 && String(index) === key ? index : null;
}

/** An argument that counts from the end when it is negative, as methods of arrays take it. */
function relative(index: number | undefined, size: number, absent: number): number {
  if (index === undefined) return absent;
  const at = whole(index);
  return at < 0 ? Math.max(at + size, 0) : Math.min(at, size);
}

function whole(value: unknown): number {
  return Math.trunc(Number(value)) || 0;
}

register("array", (inner) => new ArrayNode(inner));
