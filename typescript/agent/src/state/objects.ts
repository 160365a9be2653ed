/** The state of an agent, and objects of state classes inside it. */

import { Admission } from "./admission.ts";
import { StateFieldError } from "./errors.ts";
import type { Json } from "./json.ts";
import { define, Members } from "./members.ts";
import { attached, leave, nodeOf, pathOf, segment, show } from "./node.ts";
import { declare, declaredShape, declares, isField, nearest } from "./schemas.ts";
import type { Model, Shape } from "./shapes.ts";
import { isPlainValue, refuseDefinition, refuseFreezing } from "./traps.ts";

type Target = Record<string, unknown>;

/**
 * State that is kept by changing it. Extend it and give each field its initial value:
 *
 * ```ts
 * class MyState extends DeltaState {
 *   static version = 1;
 *   count = 0;
 *   history: string[] = [];
 *   tags = new Set<string>();
 * }
 * ```
 *
 * Fields hold JSON values: strings, finite numbers, booleans, null, arrays and plain objects, and, where the initial value
 * is one, Maps with string keys, Sets of scalars and objects of other state classes; `arrayOf`, `recordOf` and `mapOf` make
 * initial values that contain those. Assigning an array, object, Map or Set stores a copy: go on with `state.field`, not
 * with the variable it came from. A member that is undefined is no member. Names that begin with `_` are not stored, nor are
 * `#private` ones.
 */
export class DeltaState {
  /** The version of the layout. When the stored state has a lower one, `migrate` is called. */
  static version: number = 1;
  /** Names the kind of state for tools. */
  static entityType?: string;

  /** Gives a proxy in place of the new object: fields and `#private` names of subclasses are then made on that. */
  constructor() {
    return new ObjectNode(this, new.target).face as unknown as this;
  }

  /**
   * Turns stored `data`, written with version `fromVersion`, into what this class declares.
   *
   * Called when the stored version is lower than `version`, before `onInit`. Fields that are absent afterwards take their
   * initial values. An exception leaves the stored state as it was and the agent does not start.
   */
  static migrate(data: Record<string, Json>, _fromVersion: number): Record<string, Json> {
    return data;
  }

  /** A copy of the state as JSON values; Maps are objects, Sets are sorted arrays. */
  toJSON(): Record<string, Json> {
    return (nodeOf(this) as ObjectNode).snapshot() as Record<string, Json>;
  }
}

/** The hidden side of an object of a state class, and the handler of its proxy. */
export class ObjectNode extends Members implements ProxyHandler<Target> {
  override readonly kind = "object";
  override readonly face: object;
  readonly #target: Target;
  readonly #model: Model;

  constructor(target: object, model: Model) {
    super();
    this.#target = target as Target;
    this.#model = model;
    this.face = new Proxy(this.#target, this);
    show(this.face, this);
  }

  override get size(): number {
    return [...this.pairs()].length;
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
    return Object.entries(this.#target).filter(([name]) => isField(name));
  }

  override shapeAt(name: string): Shape | null {
    return declaredShape(this.#model, name);
  }

  /** @throws StateFieldError the class declares no field `name`. */
  override permit(name: string): void {
    if (declares(this.#model, name, undefined)) return;
    const near = nearest(this.#model, name);
    const hint = near === null ? "" : `; did you mean ${JSON.stringify(near)}?`;
    const why = `${this.#model.name} declares no field ${JSON.stringify(name)}${hint}`;
    throw new StateFieldError(pathOf(this) + segment(name), why);
  }

  /**
   * Makes the stored `data` the values of the fields. Gives the names of fields it lacks; they keep their initial values.
   *
   * @throws StateValueError `data` does not fit what the class declares.
   */
  hydrate(data: Readonly<Record<string, unknown>>): string[] {
    const admission = new Admission(this, []);
    const pairs = Object.entries(data).filter(([name]) => isField(name));
    const taken = pairs.map(([name, value]) => [name, admission.take(value, name, this.shapeAt(name))] as const);
    admission.commit();
    for (const [name, value] of taken) {
      leave(this.read(name), this);
      this.put(name, value);
    }
    return [...this.pairs()].map(([name]) => name).filter((name) => !Object.hasOwn(data, name));
  }

  // ── traps; reading needs none: fields are stored as authors see them ──────────────────────────────────────────

  set(target: Target, key: string | symbol, value: unknown, receiver: unknown): boolean {
    if (receiver !== this.face) return Reflect.set(target, key, value, receiver);
    if (typeof key === "symbol" || !isField(key)) return Reflect.set(target, key, value);
    if (!this.holds(key)) {
      if (isAccessor(target, key)) return Reflect.set(target, key, value, receiver);
      if (!declares(this.#model, key, value)) this.permit(key);
    }
    this.#become(key, value);
    return true;
  }

  deleteProperty(target: Target, key: string | symbol): boolean {
    if (typeof key === "symbol" || !isField(key)) return Reflect.deleteProperty(target, key);
    this.remove(key);
    return true;
  }

  /** Class fields come here: defining a field declares it. */
  defineProperty(target: Target, key: string | symbol, described: PropertyDescriptor): boolean {
    if (typeof key === "symbol" || !isField(key)) return Reflect.defineProperty(target, key, described);
    if (!isPlainValue(described)) refuseDefinition(this, key);
    if (!attached(this)) declare(this.#model, key, described.value);
    this.#become(key, described.value);
    return true;
  }

  preventExtensions(): boolean {
    return refuseFreezing(this);
  }

  setPrototypeOf(): boolean {
    return refuseFreezing(this);
  }

  #become(name: string, value: unknown): void {
    if (value === undefined) this.remove(name);
    else this.assign(name, value);
  }
}

/** Whether `key` is a property with a getter or setter on a prototype of `target`. */
function isAccessor(target: object, key: string): boolean {
  for (let at: object | null = Object.getPrototypeOf(target); at !== null; at = Object.getPrototypeOf(at)) {
    const described = Object.getOwnPropertyDescriptor(at, key);
    if (described !== undefined) return !("value" in described);
  }
  return false;
}
