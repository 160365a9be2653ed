/** What authors do to whole containers, where JavaScript has no single method for it. */

import { Members } from "./members.ts";
import { nodeOf } from "./node.ts";
import { ObjectNode } from "./objects.ts";
import { SetNode } from "./sets.ts";
import type { Model } from "./shapes.ts";
import { restored } from "./tracked.ts";
import type { Json } from "./json.ts";

/**
 * Puts all `values` into an object or Map of the state; all of it or, when a value is refused, nothing. One operation for
 * each member that changed, or one for the container when that is shorter. (`Object.assign` works too, member by member.)
 */
export function update<V>(container: Map<string, V>, values: Readonly<Record<string, V>> | ReadonlyMap<string, V>): void;
export function update<T extends object>(container: T, values: Readonly<Partial<T>>): void;
export function update(container: object, values: object): void {
  const node = nodeOf(container);
  if (!(node instanceof Members)) throw new TypeError("update takes an object or Map of a state");
  node.merge(values instanceof Map ? values : Object.entries(values));
}

/** Empties an array, object, Map or Set of the state: one operation. */
export function clear(container: object): void {
  const node = nodeOf(container);
  if (Array.isArray(container)) container.length = 0;
  else if (node instanceof SetNode || (node instanceof Members && !(node instanceof ObjectNode))) node.clear();
  else throw new TypeError("clear takes an array, object, Map or Set of a state");
}

/** A deep copy that is not part of any state: plain arrays, objects, Maps and Sets, and new objects of state classes. */
export function copyOf<T>(value: T): T {
  return copied(value) as T;
}

function copied(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copied);
  if (value instanceof Map) return new Map(Array.from(value, ([key, item]) => [key, copied(item)]));
  if (value instanceof Set) return new Set(value);
  const node = nodeOf(value);
  if (node instanceof ObjectNode) {
    return restored(value.constructor as Model, node.snapshot() as Record<string, Json>);
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copied(item)]));
}
