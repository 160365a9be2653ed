/** The fields a state class declares: what its constructor defines, without names that begin with `_`. */

import { type Model, type Shape, shapeOf } from "./shapes.ts";

/** Fields and what their initial values say about them. */
class Schema {
  readonly fields = new Map<string, Shape | null>();
  /** Whether assignments declare too: while an object is made only to find out what its constructor assigns. */
  probing = false;
  probed = false;
}

const schemas = new WeakMap<Model, Schema>();

/** Whether `name` is part of a state at all. */
export function isField(name: string): boolean {
  return !name.startsWith("_");
}

/** The constructor of `model` gave the field `name` this initial value. */
export function declare(model: Model, name: string, value: unknown): void {
  const { fields } = schemaOf(model);
  const shape = shapeOf(value);
  if (value != null || !fields.has(name)) fields.set(name, shape);
}

/**
 * Whether `model` declares `name`. Where class fields are compiled to assignments, or fields are only assigned in the
 * constructor, an object is made once to find out.
 */
export function declares(model: Model, name: string, value: unknown): boolean {
  const schema = schemaOf(model);
  if (schema.probing && !schema.fields.has(name)) declare(model, name, value);
  if (schema.fields.has(name)) return true;
  if (schema.probed || schema.probing) return false;
  schema.probing = true;
  try {
    new model();
  } catch {
    return false; // it needs arguments: its fields are those it defines
  } finally {
    schema.probing = false;
    schema.probed = true;
  }
  return schema.fields.has(name);
}

/** What `model` declares the field `name` to hold. */
export function declaredShape(model: Model, name: string): Shape | null {
  return schemaOf(model).fields.get(name) ?? null;
}

/** The declared field whose name is most like `name`, if any is like it. */
export function nearest(model: Model, name: string): string | null {
  let best: string | null = null;
  let least = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const field of schemaOf(model).fields.keys()) {
    const changes = distance(field, name);
    if (changes < least) [best, least] = [field, changes];
  }
  return best;
}

function schemaOf(model: Model): Schema {
  let schema = schemas.get(model);
  if (schema === undefined) schemas.set(model, (schema = new Schema()));
  return schema;
}

/** How many letters must be changed, put in, taken out or exchanged with their neighbour. */
function distance(left: string, right: string): number {
  let before: number[] = [];
  let row = Array.from({ length: right.length + 1 }, (_, at) => at);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const same = left[i - 1] === right[j - 1];
      const [above = 0, diagonal = 0, beside = 0] = [row[j], row[j - 1], next[j - 1]];
      let cost = Math.min(above + 1, beside + 1, diagonal + (same ? 0 : 1));
      const crossed = i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1];
      if (crossed) cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      next.push(cost);
    }
    before = row;
    row = next;
  }
  return row[right.length] ?? 0;
}
