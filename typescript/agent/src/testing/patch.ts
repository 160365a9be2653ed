/** JSON Patch (RFC 6902) as delta state uses it: `add`, `remove`, `replace`. */

import type { Json, Operation } from "../state/index.ts";
import { AgentHarnessError } from "./errors.ts";

/**
 * `document` after `operations`; it is changed in place, what is returned is its new root.
 *
 * @throws AgentHarnessError an operation names a place that is not there.
 */
export function apply(document: Json, operations: readonly Operation[]): Json {
  return operations.reduce(applyOne, document);
}

function applyOne(document: Json, { op, path, value }: Operation): Json {
  const parts = path.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = parts.pop();
  if (op !== "remove" && value === undefined) throw new AgentHarnessError(`${op} ${path} has no value`);
  const given = structuredClone(value ?? null);
  if (last === undefined) {
    if (op === "remove") throw new AgentHarnessError("the root can't be removed");
    return given;
  }
  let parent: Json = document;
  for (const part of parts) parent = step(parent, part, path);
  if (Array.isArray(parent)) changeArray(parent, last, op, given, path);
  else if (parent !== null && typeof parent === "object") changeObject(parent, last, op, given, path);
  else throw new AgentHarnessError(`${path} goes through a value that is no container`);
  return document;
}

function step(parent: Json, part: string, path: string): Json {
  if (Array.isArray(parent)) return parent[index(part, parent.length, path)] ?? null;
  if (parent !== null && typeof parent === "object" && Object.hasOwn(parent, part)) return parent[part] ?? null;
  throw new AgentHarnessError(`${path}: there is no ${JSON.stringify(part)}`);
}

function index(part: string, below: number, path: string): number {
  if (!/^(0|[1-9][0-9]*)$/.test(part) || Number(part) >= below) {
    throw new AgentHarnessError(`${path}: ${JSON.stringify(part)} is no index below ${below}`);
  }
  return Number(part);
}

function changeObject(parent: { [key: string]: Json }, key: string, op: string, value: Json, path: string): void {
  if (op !== "add" && !Object.hasOwn(parent, key)) throw new AgentHarnessError(`${op} ${path}: there is nothing`);
  if (op === "remove") delete parent[key];
  else Object.defineProperty(parent, key, { value, writable: true, enumerable: true, configurable: true });
}

function changeArray(parent: Json[], part: string, op: string, value: Json, path: string): void {
  if (op === "add") parent.splice(part === "-" ? parent.length : index(part, parent.length + 1, path), 0, value);
  else if (op === "remove") parent.splice(index(part, parent.length, path), 1);
  else parent[index(part, parent.length, path)] = value;
}
