/**
 * Random programs of mutations: the operations lead from the state before to the state after, exactly, and the state is
 * what plain arrays, objects, Maps and Sets become by the same mutations.
 */

import { expect, test } from "bun:test";
import { arrayOf, clear, DeltaState, type Json, mapOf, type Operation, track, update } from "../../src/state/index.ts";
import { applied } from "./patch.ts";

const PROGRAMS = 300;
const STEPS = 40;
/** Of all programs; `STATE_SEED=n bun test` repeats a failure. */
const SEED = Number(process.env["STATE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

const KEYS = ["a", "b", "a/b", "m~n", "", "ключ", "~1", "😀", "__proto__", "constructor", "7"];
const SCALARS: Json[] = [null, true, false, 0, 1, -7, 2 ** 53 - 1, 1.5, 1e22, 1e-6, "", "text", "ünï", "a/b", "😀\n"];
const ELEMENTS: Json[] = ["a", "b", "c", "\uff5e", "😀", 1, 2, 3.5, null, true];

class Part extends DeltaState {
  name = "";
  tags = new Set<Json>();
  notes: Json[] = [];
}

class Whole extends DeltaState {
  number = 0;
  anything: Json = null;
  items: Json[] = [];
  table: Record<string, Json> = {};
  lookup = new Map<string, Json>();
  tags = new Set<Json>();
  groups = mapOf(new Set<Json>());
  rows = arrayOf(new Map<string, Json>());
  part = new Part();
}

/** The same fields, untracked. */
const SHADOW = () => ({
  number: 0,
  anything: null,
  items: [],
  table: {},
  lookup: new Map(),
  tags: new Set(),
  groups: new Map(),
  rows: [],
  part: { name: "", tags: new Set(), notes: [] },
});

/** Numbers from a seed (mulberry32). */
class Lots {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }
  one<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
  value(depth = 0): Json {
    const kind = this.below(depth < 3 ? 6 : 4);
    if (kind === 4) return Array.from({ length: this.below(4) }, () => this.value(depth + 1));
    if (kind === 5) return Object.fromEntries(this.members(depth + 1));
    return this.one(SCALARS);
  }
  members(depth = 0): [string, Json][] {
    return Array.from({ length: this.below(4) }, () => [this.one(KEYS), this.value(depth)]);
  }
}

type Path = readonly (string | number)[];
/** A mutation with its arguments drawn, so that it can be done twice. */
type Act = (target: any) => unknown;

function containers(node: unknown, path: Path = []): [Path, object][] {
  if (typeof node !== "object" || node === null) return [];
  if (node instanceof Set) return [[path, node]];
  const entries = node instanceof Map ? [...node] : Object.entries(node);
  return [[path, node], ...entries.flatMap(([key, child]) => containers(child, [...path, key]))];
}

function at(root: unknown, path: Path): any {
  return path.reduce((node: any, part) => (node instanceof Map ? node.get(part) : node[part]), root);
}

function setAct(lots: Lots): Act {
  const element = lots.one(ELEMENTS);
  return lots.one<Act>([(s) => s.add(element), (s) => s.add(element), (s) => s.delete(element), (s) => s.clear()]);
}

/** What a container declared to hold Sets or Maps is given. */
function elementFor(lots: Lots, path: Path): () => unknown {
  if (path.length > 1 || (path[0] !== "groups" && path[0] !== "rows")) return copying(lots.value());
  if (path[0] === "rows") return copying(lots.members(), (members) => new Map(members as [string, Json][]));
  const elements = Array.from({ length: lots.below(4) }, () => lots.one(ELEMENTS));
  return () => new Set(elements);
}

function copying<T>(value: T, make: (copy: T) => unknown = (copy) => copy): () => unknown {
  return () => make(structuredClone(value));
}

function memberAct(lots: Lots, target: object, path: Path): Act {
  const key = lots.one(KEYS);
  const value = elementFor(lots, path);
  const more = [[lots.one(KEYS), elementFor(lots, path)] as const, [lots.one(KEYS), elementFor(lots, path)] as const];
  const fresh = () => Object.fromEntries(more.map(([name, make]) => [name, make()]));
  if (target instanceof Map) {
    return lots.one<Act>([
      (m) => m.set(key, value()),
      (m) => m.set(key, value()),
      (m) => m.delete(key),
      (m) => (m instanceof Map && isShadow(m) ? Object.entries(fresh()).forEach(([k, v]) => m.set(k, v)) : update(m, fresh())),
      (m) => (lots.one([true]) && m.size > 6 ? m.clear() : m.size),
    ]);
  }
  return lots.one<Act>([
    (o) => Object.defineProperty(o, key, { value: value(), configurable: true, enumerable: true, writable: true }),
    (o) => (key === "__proto__" ? 0 : (o[key] = value())),
    (o) => delete o[key],
    (o) => (isShadow(o) ? Object.entries(fresh()).forEach(([k, v]) => put(o, k, v)) : update(o, fresh())),
    (o) => (Object.keys(o).length < 7 ? 0 : isShadow(o) ? Object.keys(o).forEach((k) => delete o[k]) : clear(o)),
  ]);
}

function put(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, configurable: true, enumerable: true, writable: true });
}

const shadows = new WeakSet<object>();
function isShadow(target: object): boolean {
  return shadows.has(target);
}

function arrayAct(lots: Lots, size: number, path: Path): Act {
  const make = elementFor(lots, path);
  const values = Array.from({ length: lots.below(4) }, () => elementFor(lots, path));
  const all = () => values.map((each) => each());
  const [index, count, scalar] = [lots.below(size + 1), lots.below(3), lots.one(SCALARS)];
  const anything = path[0] !== "rows" || path.length > 1;
  const order = (one: unknown, two: unknown) => key(one) - key(two);
  const key = (value: unknown) => JSON.stringify(value instanceof Map ? [...value.keys()] : value).length;
  return lots.one<Act>([
    (a) => a.push(make()),
    (a) => a.push(...all()),
    (a) => a.unshift(make()),
    (a) => a.unshift(...all()),
    (a) => a.pop(),
    (a) => a.shift(),
    (a) => a.splice(index, count, ...all()),
    (a) => a.splice(-count, count),
    (a) => (a[index] = make()),
    (a) => a.sort(order),
    (a) => a.reverse(),
    (a) => (anything ? a.fill(scalar, index, index + count) : 0),
    (a) => (a.length = Math.min(a.length, 5)),
    (a) => a.push(...a.splice(0, count)),
    (a) => (a.length > 1 ? a.push(a.shift()) : 0),
  ]);
}

function fieldAct(lots: Lots): Act {
  const [number, value, members] = [lots.below(5), lots.value(), lots.members()];
  const list = Array.from({ length: lots.below(5) }, () => lots.value());
  const elements = Array.from({ length: lots.below(5) }, () => lots.one(ELEMENTS));
  return lots.one<Act>([
    (s) => (s.number += number),
    (s) => (s.anything = structuredClone(value)),
    (s) => (s.items = structuredClone(list)),
    (s) => (s.items = s.items.filter((_: unknown, at: number) => at % 2 === 0)),
    (s) => (s.items = [...s.items].reverse()),
    (s) => (s.table = { ...s.table, k: structuredClone(value) }),
    (s) => (s.lookup = new Map(structuredClone(members))),
    (s) => (s.tags = new Set(elements)),
    (s) => (s.part.name = String(number)),
    (s) => delete s.anything,
  ]);
}

function actFor(lots: Lots, path: Path, target: object): Act {
  if (path.length === 0 || (path.length === 1 && path[0] === "part")) return fieldActAt(lots, path);
  if (target instanceof Set) return setAct(lots);
  return Array.isArray(target) ? arrayAct(lots, target.length, path) : memberAct(lots, target, path);
}

function fieldActAt(lots: Lots, path: Path): Act {
  if (path.length === 0) return fieldAct(lots);
  const text = lots.one(["x", "y"]);
  return (part) => (part.name = text);
}

/** As the state is stored; Sets in the order Python has. */
function stored(value: unknown): Json {
  if (value instanceof Set) return inOrder([...value] as Json[]);
  if (value instanceof Map) return Object.fromEntries(Array.from(value, ([key, item]) => [key, stored(item)]));
  if (Array.isArray(value)) return value.map(stored);
  if (typeof value !== "object" || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, stored(item)]));
}

function inOrder(elements: Json[]): Json[] {
  const rank = (value: Json) => (value === null ? 0 : typeof value === "string" ? 2 : 1);
  const bytes = (value: Json) => Buffer.from(String(value));
  return elements.sort((one, two) => {
    if (rank(one) !== rank(two)) return rank(one) - rank(two);
    if (rank(one) === 2) return Buffer.compare(bytes(one), bytes(two));
    return Number(one) - Number(two) || Number(typeof one === "boolean") - Number(typeof two === "boolean");
  });
}

function shadowed(root: object): void {
  for (const [, container] of containers(root)) shadows.add(container);
}

function play(seed: number): void {
  const lots = new Lots(seed);
  const tracked = track(Whole, null, () => {});
  const shadow = SHADOW();
  let before: Json = tracked.toJSON();
  for (let step = 0; step < STEPS; step++) {
    const [path, target] = lots.one(containers(shadow));
    const act = actFor(lots, path, target);
    shadowed(shadow);
    act(at(shadow, path));
    act(at(tracked.state, path));
    if (lots.below(3) > 0) continue;
    const ops: Operation[] = tracked.take();
    const after: Json = tracked.toJSON();
    expect(JSON.stringify(after)).toBe(JSON.stringify(stored(shadow)));
    expect(applied(before, ops)).toEqual(after);
    before = after;
  }
  const again = track(Whole, tracked.toJSON(), () => {});
  expect(applied(tracked.toJSON(), again.take())).toEqual(again.toJSON());
}

test(`operations give the state, and the state is what plain values become (STATE_SEED=${SEED})`, () => {
  for (let number = 0; number < PROGRAMS; number++) play(SEED + number);
});
