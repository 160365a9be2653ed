/**
 * Where a container stands in the tree of a state, and how a change of it is written down.
 *
 * A node is the hidden side of a container of the state; its `face` is what authors hold: a proxy of an array or object,
 * or a Map or Set whose methods record. Each node knows its parent and its key there; only the root has a journal. A node
 * that was taken out of the state has no parent, or stands under one that has none: changing it records nothing.
 */

import type { Journal } from "./journal.ts";
import { bytesOfOperation, bytesOfOperations, CHANGE_MAX_BYTES, type Json, type Operation } from "./json.ts";
import type { Shape } from "./shapes.ts";

/** What a container is; `record` is a plain object, `object` an instance of a state class. */
export type Kind = "array" | "record" | "map" | "set" | "object";

/** One operation below a node; `at` begins with a slash. */
export interface Change {
  readonly op: Operation["op"];
  readonly at: string;
  readonly value?: Json;
}

const NOTHING: unknown[] = [];

/** The hidden side of a container. It is also the handler of its proxy: a method named like a trap is one. */
export abstract class Node {
  /** The node this one stands in; null when it is the root, or was taken out. */
  parent: Node | null = null;
  /** The escaped pointer segment (`/name`), or the index in an array, which is only a hint: inserting before it does not tell it. */
  key: string | number = "";
  /** Of the root of a recorded state only. */
  journal: Journal | null = null;
  /** What elements are declared to be, when they are something JSON does not tell. */
  inner: Shape | null = null;
  /** What authors hold. */
  abstract readonly face: object;
  abstract readonly kind: Kind;
  /** The number of elements. */
  abstract readonly size: number;

  /** What an array holds; empty for all others. */
  readonly elements: unknown[] = NOTHING;

  /** Puts an admitted element behind the others, unrecorded; a name that is there gets the new one. */
  abstract put(name: string | number, value: unknown): void;

  /** Names or indexes, and elements. */
  abstract pairs(): Iterable<readonly [string | number, unknown]>;

  /** A copy as JSON values. */
  abstract snapshot(): Json;

  /** What the element `name` is declared to be. */
  shapeAt(_name: string | number): Shape | null {
    return this.inner;
  }
}

const nodes = new WeakMap<object, Node>();

/** Makes `face` known as the public side of `node`. */
export function show(face: object, node: Node): void {
  nodes.set(face, node);
}

/** The node behind `value`, when it is a container of a state. */
export function nodeOf(value: unknown): Node | undefined {
  return typeof value === "object" && value !== null ? nodes.get(value) : undefined;
}

/** The pointer segment of a key, slash included. */
export function segment(key: string | number): string {
  if (typeof key === "number" || !/[~/]/.test(key)) return `/${key}`;
  return `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** The JSON Pointer of `node`. */
export function pathOf(node: Node): string {
  let path = "";
  for (let at = node; at.parent !== null; at = at.parent) {
    const key = at.key;
    path = typeof key === "number" ? `/${indexIn(at.parent, at, key)}${path}` : key + path;
  }
  return path;
}

/** The journal of the state `node` is in; null when it is in none. */
export function journalOf(node: Node): Journal | null {
  let at = node;
  while (at.parent !== null) at = at.parent;
  return at.journal;
}

/** Where `node` stands in the array `parent`; looked for outwards from `hint`, which is then corrected. */
function indexIn(parent: Node, node: Node, hint: number): number {
  const elements = parent.elements;
  const size = elements.length;
  if (elements[hint] === node.face) return hint;
  for (let distance = 1; distance <= size + hint; distance++) {
    for (const index of [hint - distance, hint + distance]) {
      if (index >= 0 && index < size && elements[index] === node.face) {
        node.key = index;
        return index;
      }
    }
  }
  throw new Error("a node is not in its parent");
}

/** Whether `node` is part of a recorded state. */
export function attached(node: Node): boolean {
  return journalOf(node) !== null;
}

/** `value` is no longer part of `holder`. It may have been put elsewhere while that was not part of the state. */
export function leave(value: unknown, holder: Node): void {
  const node = nodeOf(value);
  if (node?.parent === holder) node.parent = null;
}

/** Records one change at `at` below `node`. */
export function note(node: Node, op: "add" | "replace", at: string, value: Json): void {
  const journal = journalOf(node);
  if (journal !== null) journal.record({ op, path: pathOf(node) + at, value });
}

/** Records that what was at `at` below `node` is gone. */
export function noteRemoved(node: Node, at: string): void {
  const journal = journalOf(node);
  if (journal !== null) journal.record({ op: "remove", path: pathOf(node) + at });
}

/** Records that `node` is replaced by what it holds now. */
export function noteWhole(node: Node): void {
  const journal = journalOf(node);
  if (journal !== null) journal.record({ op: "replace", path: pathOf(node), value: node.snapshot() });
}

const REPLACE_BYTES = '[{"op":"replace","path":"","value":[]}]'.length;

/** Records `changes`, or one replacement of `node` when that is shorter. */
export function noteShortest(node: Node, changes: readonly Change[]): void {
  const journal = journalOf(node);
  if (journal === null || changes.length === 0) return;
  const path = pathOf(node);
  const operations = changes.map(({ op, at, value }): Operation => {
    return value === undefined ? { op, path: path + at } : { op, path: path + at, value };
  });
  const whole = operations.length > 1 ? shorterWhole(node, path, operations) : null;
  if (whole !== null) journal.record(whole);
  else for (const operation of operations) journal.record(operation);
}

/** The replacement of `node` when it is shorter than `operations`; only tried when its barest form would win. */
function shorterWhole(node: Node, path: string, operations: readonly Operation[]): Operation | null {
  if (path === "") return null;
  const size = bytesOfOperations(operations);
  if (size <= 2 * node.size + REPLACE_BYTES + path.length) return null;
  const whole: Operation = { op: "replace", path, value: node.snapshot() };
  return bytesOfOperation(whole) + 2 < Math.min(size, CHANGE_MAX_BYTES) ? whole : null;
}
