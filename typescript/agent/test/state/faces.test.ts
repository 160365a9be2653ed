/** What authors hold behaves as the arrays, objects, Maps and Sets it looks like. */

import { describe, expect, test } from "bun:test";
import { copyOf, DeltaState, mapOf, recordOf, track } from "../../src/state/index.ts";
import { applied } from "./patch.ts";
import { BEFORE, type Notes, Profile, recorded } from "./states.ts";

describe("reading a place gives the same thing every time", () => {
  const PLACES: [string, (s: Notes) => unknown][] = [
    ["an array", (s) => s.history],
    ["an object", (s) => s.table],
    ["an object in an array", (s) => s.table["rows"][1]],
    ["a Map", (s) => s.lookup],
    ["an object in a Map", (s) => s.lookup.get("deep")],
    ["a Set", (s) => s.tags],
    ["an object of a class", (s) => s.profile],
    ["a Set in an object of a class", (s) => s.parts[0]!.langs],
  ];
  test.each(PLACES)("%s", (_, read) => {
    const { state } = recorded();
    expect(read(state) === read(state)).toBe(true);
  });
});

test("an array is an array", () => {
  const { state } = recorded();
  const list = state.history;
  expect(Array.isArray(list)).toBe(true);
  expect(list instanceof Array).toBe(true);
  expect([list.constructor, Object.getPrototypeOf(list)]).toEqual([Array, Array.prototype] as never);
  expect([...list]).toEqual(["a", "b", "c", "d"]);
  expect(list).toEqual(["a", "b", "c", "d"]);
  expect(Object.keys(list)).toEqual(["0", "1", "2", "3"]);
  expect(Array.from(list.entries())).toHaveLength(4);
  expect([list.indexOf("c"), list.includes("d"), list.at(-1), list.length]).toEqual([2, true, "d", 4]);
  expect([list.concat(["e"]).length, ([0] as unknown[]).concat(list).length]).toEqual([5, 5]);
  const { rows } = state.table;
  expect([rows.includes(rows[1]), rows.indexOf(rows[1])]).toEqual([true, 1]);
  const kept: string[] = [];
  for (const item of list) kept.push(String(item));
  expect(kept.join("")).toBe("abcd");
});

test("what methods of an array make is plain", () => {
  const tracked = recorded();
  const list = tracked.state.history;
  for (const made of [list.slice(), list.map(String), list.filter(Boolean), list.toSorted(), list.concat(), list.flat()]) {
    (made as unknown[]).push("more");
    expect(Object.getPrototypeOf(made)).toBe(Array.prototype);
  }
  expect(tracked.take()).toEqual([]);
  expect(Array.isArray(list.splice(0, 2))).toBe(true);
});

test("methods of an array give what they give", () => {
  const { state } = recorded();
  const list = state.history;
  expect([list.push("e"), list.unshift("z"), list.pop(), list.shift()]).toEqual([5, 6, "e", "z"]);
  expect(list.splice(1, 2, "B")).toEqual(["b", "c"]);
  expect(list.splice(...([] as unknown as [number]))).toEqual([]);
  expect(list.reverse()).toBe(list);
  expect(list.sort()).toBe(list);
  expect(list.fill("q", -1)).toBe(list);
  expect(list.copyWithin(0, 1)).toBe(list);
  list.length = 0;
  expect([list.pop(), list.shift(), list.length]).toEqual([undefined, undefined, 0]);
});

test("the engine's own methods are seen when they are called on a part of the state", () => {
  const tracked = recorded();
  const list = tracked.state.history;
  Array.prototype.push.call(list, "e", "f");
  [list[0], list[1]] = [list[1]!, list[0]!];
  Reflect.set(tracked.state.table, "x", 2);
  Reflect.deleteProperty(tracked.state.table, "x");
  const taken = tracked.take();
  expect(taken.map(({ op, path }) => `${op} ${path}`)).toEqual([
    "add /history/-",
    "add /history/-",
    "replace /history/0",
    "replace /history/1",
    "replace /table/x",
    "remove /table/x",
  ]);
  expect(applied(BEFORE, taken)).toEqual(tracked.toJSON());
});

test("an object is an object", () => {
  const { state } = recorded();
  const { table } = state;
  expect({ ...table, rows: 0 } as object).toEqual({ x: 1, rows: 0 });
  expect(Object.entries(table).map(([key]) => key)).toEqual(["x", "rows"]);
  expect(["x" in table, "y" in table, Object.hasOwn(table, "x")]).toEqual([true, false, true]);
  expect(Object.getPrototypeOf(table)).toBe(Object.prototype);
  const { x, ...rest } = table;
  expect([x, Object.keys(rest)]).toEqual([1, ["rows"]]);
  const seen: string[] = [];
  for (const key in table) seen.push(key);
  expect(seen).toEqual(["x", "rows"]);
});

test("an object that inherits from a part of the state is not the state", () => {
  const tracked = recorded();
  const child = Object.create(tracked.state.table);
  child.x = 5;
  expect([child.x, tracked.state.table["x"], tracked.take()]).toEqual([5, 1, []]);
});

test("a Map is a Map and a Set is a Set", () => {
  const { state } = recorded();
  expect([state.lookup instanceof Map, state.tags instanceof Set]).toEqual([true, true]);
  expect([state.lookup.constructor, state.tags.constructor]).toEqual([Map, Set] as never);
  expect([...state.lookup.keys()]).toEqual(["x", "deep"]);
  expect(new Map(state.lookup).get("x")).toBe(1);
  expect([...state.tags]).toEqual(["b", "d"]);
  expect(new Set([...state.tags, "z"]).size).toBe(3);
  expect([state.lookup.size, state.tags.size, state.tags.has("b")]).toEqual([2, 2, true]);
  expect([state.lookup.set("k", 1) === state.lookup, state.lookup.delete("k"), state.lookup.delete("k")]).toEqual([
    true,
    true,
    false,
  ]);
  expect([state.tags.add("k") === state.tags, state.tags.delete("k"), state.tags.delete("k")]).toEqual([true, true, false]);
  const seen: unknown[] = [];
  state.lookup.forEach((value, key) => seen.push([key, typeof value]));
  expect(seen).toEqual([["x", "number"], ["deep", "object"]]);
});

test("JSON.stringify writes every part as it is stored", () => {
  const { state } = recorded();
  for (const name of Object.keys(BEFORE)) {
    expect(JSON.parse(JSON.stringify(state[name as keyof Notes]))).toEqual(BEFORE[name] as never);
  }
  expect(JSON.parse(JSON.stringify({ state, list: [state.tags] }))).toEqual({ state: BEFORE, list: [BEFORE["tags"]] });
});

test("an object of a class is one, with its private fields", () => {
  class Secretive extends DeltaState {
    #count = 1;
    shown = 0;
    bump(): number {
      this.shown = ++this.#count;
      return this.#count;
    }
    static isOne(value: object): boolean {
      return #count in value;
    }
  }
  const { state } = track(Secretive, null, () => {});
  expect([state.bump(), state.shown, Secretive.isOne(state)]).toEqual([2, 2, true]);
  expect(Object.keys(state)).toEqual(["shown"]);
  expect(JSON.stringify(state)).toBe('{"shown":2}');
});

test("an object of a class may be made, filled and assigned", () => {
  const tracked = recorded();
  const ada = new Profile();
  ada.name = "Ada";
  ada.langs.add("ts");
  tracked.state.parts.push(ada);
  expect(tracked.state.parts[1] === ada).toBe(true);
  ada.langs.add("py");
  expect(tracked.take().map(({ op, path }) => `${op} ${path}`)).toEqual(["add /parts/-", "add /parts/1/langs/0"]);
});

test("copies are plain and not the state", () => {
  const tracked = recorded();
  const { state } = tracked;
  const copy = copyOf({ history: state.history, lookup: state.lookup, tags: state.tags, table: state.table });
  copy.history.push("more");
  copy.lookup.get("deep").list.push(2);
  copy.tags.add("z");
  copy.table["rows"][0].n = 9;
  const twin = copyOf(state.parts[0]!);
  twin.name = "twin";
  twin.langs.add("ts");
  expect(twin).toBeInstanceOf(Profile);
  expect([...twin.langs]).toEqual(["py", "ts"]);
  expect(tracked.take()).toEqual([]);
  expect(tracked.toJSON()).toEqual(BEFORE);
});

test("declared elements come back as what they are, at any depth", () => {
  class Deep extends DeltaState {
    nested = mapOf(mapOf(new Set<number>()));
    people = recordOf(new Profile());
  }
  const first = track(Deep, null, () => {});
  first.state.nested.set("a", new Map([["b", new Set([3, 1, 2])]]));
  first.state.people["me"] = new Profile();
  first.state.people["me"].langs.add("ts");
  first.state.nested.get("a")!.get("b")!.delete(2);
  const before = { nested: {}, people: {} };
  expect(applied(before, first.take())).toEqual(first.toJSON());
  const again = track(Deep, first.toJSON(), () => {});
  again.state.nested.get("a")!.get("b")!.add(5);
  again.state.people["me"]!.langs.add("py");
  expect(again.take().map(({ path }) => path)).toEqual(["/nested/a/b/-", "/people/me/langs/0"]);
  expect(again.toJSON()).toEqual({ nested: { a: { b: [1, 3, 5] } }, people: { me: { name: "nobody", langs: ["py", "ts"] } } });
});
