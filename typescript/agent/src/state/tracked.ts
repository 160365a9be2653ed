/** A state whose changes are followed, and how stored JSON becomes one. */

import { jsonOf } from "./admission.ts";
import { Journal } from "./journal.ts";
import type { Json, Operation } from "./json.ts";
import { nodeOf, note, segment } from "./node.ts";
import { type DeltaState, ObjectNode } from "./objects.ts";
import type { Model, Shape } from "./shapes.ts";

/** A state and the operations its changes became. */
export interface Tracked<S extends DeltaState> {
  /** What the author changes. */
  readonly state: S;
  /** The operations recorded since the last call, in order. Applied to the state before, they give the state now. */
  take(): Operation[];
  /** A copy of the state as JSON values. */
  toJSON(): Record<string, Json>;
}

/** A field the stored state lacks, which took its initial value. */
type Filled = readonly [ObjectNode, string];

/**
 * The state of class `stateClass` with the stored `data`, or, when that is null, with the initial values.
 *
 * `onChange` is called at the first change after each `take`. Fields that are declared but not in `data` take their
 * initial values, as operations, so it may be called before this returns. Fields that are in `data` but not declared are
 * kept.
 *
 * @throws StateValueError `data` does not fit what the class declares.
 */
export function track<S extends DeltaState>(
  stateClass: new () => S,
  data: Record<string, Json> | null,
  onChange: () => void,
): Tracked<S> {
  const filled: Filled[] = [];
  const state = data === null ? new stateClass() : (restored(stateClass, data, filled) as S);
  const node = nodeOf(state);
  if (!(node instanceof ObjectNode)) throw new TypeError(`${stateClass.name} does not extend DeltaState`);
  const journal = new Journal(onChange);
  node.journal = journal;
  for (const [owner, name] of filled) note(owner, "add", segment(name), jsonOf(owner.read(name)));
  return {
    state,
    take: () => journal.take(),
    toJSON: () => node.snapshot() as Record<string, Json>,
  };
}

/**
 * An object of `model` with the stored `data`. What it lacks is added to `filled`.
 *
 * @throws StateValueError `data` does not fit what the class declares.
 */
export function restored(model: Model, data: Readonly<Record<string, Json>>, filled: Filled[] = []): object {
  const object = new model();
  const node = nodeOf(object) as ObjectNode;
  const inside: Filled[] = [];
  const typedData = Object.entries(data).map(([name, value]) => [name, typed(value, node.shapeAt(name), inside)]);
  for (const name of node.hydrate(Object.fromEntries(typedData))) filled.push([node, name]);
  filled.push(...inside);
  return object;
}

/** Stored JSON with arrays that are Sets, and objects that are Maps or of a state class, made into those. */
function typed(value: Json, shape: Shape | null, filled: Filled[]): unknown {
  if (shape === null || typeof value !== "object" || value === null) return value;
  const { kind, inner, model } = shape;
  if (Array.isArray(value)) {
    if (kind === "set") return new Set(value);
    return kind === "array" ? value.map((item) => typed(item, inner, filled)) : value;
  }
  if (kind === "object" && model !== null) return restored(model, value, filled);
  if (kind !== "map" && kind !== "record") return value;
  const members = Object.entries(value).map(([name, item]) => [name, typed(item, inner, filled)] as const);
  return kind === "map" ? new Map(members) : Object.fromEntries(members);
}
