/** A plain object of the state. */

import { register } from "./admission.ts";
import { define, Members } from "./members.ts";
import { show } from "./node.ts";
import type { Shape } from "./shapes.ts";
import { isPlainValue, refuseDefinition, refuseFreezing, refuseSymbol } from "./traps.ts";

type Target = Record<string, unknown>;

/** The hidden side of a plain object, and the handler of its proxy. Reading needs no trap: members are stored as authors see them. */
export class RecordNode extends Members implements ProxyHandler<Target> {
  override readonly kind = "record";
  override readonly face: Target;
  readonly #target: Target = {};

  constructor(inner: Shape | null) {
    super();
    this.inner = inner;
    this.face = new Proxy(this.#target, this);
    show(this.face, this);
  }

  override get size(): number {
    return Object.keys(this.#target).length;
  }

  override holds(name: string): boolean {
    return Object.hasOwn(this.#target, name);
  }

  override read(name: string): unknown {
    return this.#target[name];
  }

  override put(name: string, value: unknown): void {
    define(this.#target, name, value);
  }

  override drop(name: string): void {
    delete this.#target[name];
  }

  override pairs(): Iterable<readonly [string, unknown]> {
    return Object.entries(this.#target);
  }

  set(target: Target, key: string | symbol, value: unknown, receiver: unknown): boolean {
    if (receiver !== this.face) return Reflect.set(target, key, value, receiver);
    if (typeof key === "symbol") refuseSymbol(this, key);
    if (value === undefined) this.remove(key);
    else this.assign(key, value);
    return true;
  }

  deleteProperty(_target: Target, key: string | symbol): boolean {
    if (typeof key === "string") this.remove(key);
    return true;
  }

  defineProperty(_target: Target, key: string | symbol, described: PropertyDescriptor): boolean {
    if (!isPlainValue(described)) refuseDefinition(this, key);
    return this.set(this.#target, key, described.value, this.face);
  }

  preventExtensions(): boolean {
    return refuseFreezing(this);
  }

  setPrototypeOf(): boolean {
    return refuseFreezing(this);
  }
}

register("record", (inner) => new RecordNode(inner));
