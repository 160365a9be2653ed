/** What plain objects, Maps and objects of state classes have in common: named members. */

import { Admission, admit, jsonOf } from "./admission.ts";
import type { Json } from "./json.ts";
import { type Change, leave, Node, note, noteRemoved, noteShortest, noteWhole, pathOf, segment } from "./node.ts";
import { checkedKey, isSimple, stored } from "./scalars.ts";

/** A node whose elements have names. */
export abstract class Members extends Node {
  /** Whether there is a member `name`. */
  abstract holds(name: string): boolean;
  /** The member `name`; undefined when there is none. */
  abstract read(name: string): unknown;
  /** Takes `name` out, unrecorded. */
  abstract drop(name: string): void;
  abstract override pairs(): Iterable<readonly [string, unknown]>;

  /** @throws StateError there can be no member `name`. */
  permit(name: string): void {
    checkedKey(name, () => pathOf(this));
  }

  /** Makes `value` the member `name`: `add` or `replace`. */
  assign(name: string, value: unknown): void {
    const had = this.holds(name);
    const old = had ? this.read(name) : undefined;
    if (had && old === value) return;
    if (!had) this.permit(name);
    const shape = this.shapeAt(name);
    const op = had ? "replace" : "add";
    if (shape === null && isSimple(value)) {
      const scalar = stored(value);
      leave(old, this);
      this.put(name, scalar);
      note(this, op, segment(name), scalar);
      return;
    }
    const [taken, json] = admit(this, value, name, shape, old);
    this.put(name, taken);
    note(this, op, segment(name), json);
  }

  /** Takes the member `name` out: `remove`. False when there is none. */
  remove(name: string): boolean {
    if (!this.holds(name)) return false;
    leave(this.read(name), this);
    this.drop(name);
    noteRemoved(this, segment(name));
    return true;
  }

  /** Puts all `members` in; all or, when one is refused, none. */
  merge(members: Iterable<readonly [unknown, unknown]>): void {
    const changed = new Map<string, unknown>();
    for (const [key, value] of members) {
      const name = checkedKey(key, () => pathOf(this));
      if (this.holds(name) && this.read(name) === value) changed.delete(name);
      else changed.set(name, value);
    }
    const old = new Map([...changed.keys()].filter((name) => this.holds(name)).map((name) => [name, this.read(name)]));
    for (const name of changed.keys()) if (!old.has(name)) this.permit(name);
    const admission = new Admission(this, old.values());
    const taken = [...changed].map(([name, value]) => [name, admission.take(value, name, this.shapeAt(name))] as const);
    const values = admission.finish(taken.map(([, value]) => value));
    const changes = taken.map(([name, value], at): Change => {
      this.put(name, value);
      return { op: old.has(name) ? "replace" : "add", at: segment(name), value: values[at] as Json };
    });
    noteShortest(this, changes);
  }

  /** Takes all members out: one replacement. */
  clear(): void {
    if (this.size === 0) return;
    for (const [name, value] of [...this.pairs()]) {
      leave(value, this);
      this.drop(name);
    }
    noteWhole(this);
  }

  override snapshot(): Json {
    const copy: Record<string, Json> = {};
    for (const [name, value] of this.pairs()) define(copy, name, jsonOf(value));
    return copy;
  }
}

/** Makes `value` an own member, also under the name that would set a prototype. */
export function define(target: object, name: string, value: unknown): void {
  if (name !== "__proto__") (target as Record<string, unknown>)[name] = value;
  else Object.defineProperty(target, name, { value, configurable: true, enumerable: true, writable: true });
}
