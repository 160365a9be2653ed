/** What the initial values of fields say about Maps, Sets and objects, which JSON does not tell from objects and arrays. */

import { type Kind, nodeOf } from "./node.ts";

/** A class whose instances are objects of a state. */
export type Model = new () => object;

/** A place that holds a Map, a Set or an object, or contains one. Places that don't have no shape (`null`). */
export interface Shape {
  readonly kind: Kind;
  /** Of its elements. */
  readonly inner: Shape | null;
  /** The class of an object. */
  readonly model: Model | null;
}

const inners = new WeakMap<object, Shape>();

/** The initial value of a field: an empty array whose elements are like `sample`, a Map, a Set or an object of a state class. */
export function arrayOf<T extends object>(sample: T): T[] {
  return holding([], sample);
}

/** The initial value of a field: an empty object whose members are like `sample`, a Map, a Set or an object of a state class. */
export function recordOf<T extends object>(sample: T): Record<string, T> {
  return holding({}, sample);
}

/** The initial value of a field: an empty Map whose values are like `sample`, a Map, a Set or an object of a state class. */
export function mapOf<T extends object>(sample: T): Map<string, T> {
  return holding(new Map(), sample);
}

/** The shape of a place whose initial value is `value`. */
export function shapeOf(value: unknown): Shape | null {
  if (typeof value !== "object" || value === null) return null;
  const node = nodeOf(value);
  const inner = node?.inner ?? inners.get(value) ?? null;
  if (node?.kind === "object") return { kind: "object", inner: null, model: value.constructor as Model };
  if (value instanceof Map) return { kind: "map", inner, model: null };
  if (value instanceof Set) return { kind: "set", inner: null, model: null };
  return inner === null ? null : { kind: Array.isArray(value) ? "array" : "record", inner, model: null };
}

/** How a message calls what `shape` declares. */
export function declaredAs(shape: Shape): string {
  return shape.model?.name ?? KIND_NAMES[shape.kind];
}

/** How a message calls a container of a kind. */
export const KIND_NAMES: Readonly<Record<Kind, string>> = {
  array: "an array",
  record: "an object",
  map: "a Map",
  set: "a Set",
  object: "an object of a state class",
};

function holding<C extends object>(container: C, sample: object): C {
  const inner = shapeOf(sample);
  if (inner !== null) inners.set(container, inner);
  return container;
}
