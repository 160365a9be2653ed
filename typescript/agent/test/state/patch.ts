/** JSON Patch applied, for tests: `add`, `remove` and `replace`, strictly. */

import type { Json, Operation } from "../../src/state/index.ts";

/** `document` after `operations`; `document` itself stays as it is. */
export function applied(document: Json, operations: readonly Operation[]): Json {
  let now = structuredClone(document);
  for (const operation of operations) now = applyOne(now, structuredClone(operation));
  return now;
}

function applyOne(document: Json, { op, path, value }: Operation): Json {
  if ((op === "remove") !== (value === undefined)) throw new Error(`${op} ${path}: value ${JSON.stringify(value)}`);
  const parts = path.split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  if (parts.shift() !== "" || parts.length === 0) throw new Error(`${op} of ${path}`);
  const last = parts.pop() as string;
  let parent: Json = document;
  for (const part of parts) {
    parent = Array.isArray(parent) ? (parent[indexIn(parent, part, parent.length)] as Json) : member(parent, part);
  }
  if (Array.isArray(parent)) {
    if (op === "add") parent.splice(last === "-" ? parent.length : indexIn(parent, last, parent.length + 1), 0, value as Json);
    else if (op === "remove") parent.splice(indexIn(parent, last, parent.length), 1);
    else parent[indexIn(parent, last, parent.length)] = value as Json;
    return document;
  }
  if (op !== "add") member(parent, last);
  if (op === "remove") delete (parent as Record<string, Json>)[last];
  else Object.defineProperty(parent, last, { value, configurable: true, enumerable: true, writable: true });
  return document;
}

function member(parent: Json, name: string): Json {
  if (typeof parent !== "object" || parent === null || !Object.hasOwn(parent, name)) throw new Error(`there is no ${name}`);
  return (parent as Record<string, Json>)[name] as Json;
}

function indexIn(array: readonly Json[], part: string, below: number): number {
  const index = Number(part);
  if (String(index) !== part || !Number.isInteger(index) || index < 0 || index >= below) {
    throw new Error(`${part} is no index of an array of ${array.length}`);
  }
  return index;
}
