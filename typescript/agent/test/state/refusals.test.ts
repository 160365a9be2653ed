/** What a state does not take, and that it says where. */

import { describe, expect, test } from "bun:test";
import {
  copyOf,
  DeltaState,
  StateAliasError,
  StateError,
  StateFieldError,
  StateValueError,
  track,
  update,
} from "../../src/state/index.ts";
import { Notes, Profile, recorded, told } from "./states.ts";

class Point {
  x = 1;
}

const sparse = [1, 2, 3];
delete sparse[1];

const VALUES: [string, unknown, string, string][] = [
  ["NaN", NaN, "/table/k", "JSON has no NaN"],
  ["an infinity", -Infinity, "/table/k", "JSON has no -Infinity"],
  ["undefined in an array", [1, { deep: [undefined] }], "/table/k/1/deep/0", "use null"],
  ["a hole", sparse, "/table/k/1", "use null"],
  ["a function", { "a/b": () => 1 }, "/table/k/a~1b", "function"],
  ["a class", Point, "/table/k", "the function Point"],
  ["a bigint", [1n], "/table/k/0", "use a number or a string"],
  ["a symbol", Symbol("s"), "/table/k", "Symbol(s)"],
  ["a symbol as a key", { [Symbol("s")]: 1 }, "/table/k", "keys must be strings"],
  ["a date", new Date(0), "/table/k", "toISOString"],
  ["an instance", { p: new Point() }, "/table/k/p", "class Point"],
  ["a promise", Promise.resolve(), "/table/k", "await it"],
  ["bytes", new Uint8Array(2), "/table/k", "file of the workspace"],
  ["a lone surrogate", "\ud800", "/table/k", "lone surrogate"],
  ["a lone surrogate as a key", { "\udfff": 1 }, "/table/k", "lone surrogate"],
  ["a Map where none is declared", new Map(), "/table/k", "a Map is stored as an object"],
  ["a Set where none is declared", [new Set()], "/table/k/0", "a Set is stored as an array"],
  ["an object of a state class where none is declared", new Profile(), "/table/k", "make Profile the initial value"],
];

describe("a value JSON can't hold is refused naming the place, and nothing changes", () => {
  test.each(VALUES)("%s", (_, value, path, why) => {
    const tracked = recorded();
    const before = tracked.toJSON();
    for (const assign of [
      () => (tracked.state.table["k"] = value),
      () => update(tracked.state.table, { x: 5, k: value }),
      () => Object.defineProperty(tracked.state.table, "k", { value, configurable: true, enumerable: true, writable: true }),
    ]) {
      const error = thrown(assign);
      expect(error).toBeInstanceOf(StateValueError);
      expect([error.path, error.name]).toEqual([path, "StateValueError"]);
      expect(error.message).toContain(why);
    }
    expect(tracked.toJSON()).toEqual(before);
    expect(tracked.take()).toEqual([]);
  });
});

function thrown(act: () => unknown): StateError {
  try {
    act();
  } catch (error) {
    if (error instanceof StateError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("declared places take what is declared", () => {
  const { state } = recorded();
  expect(() => (state.tags = ["a"] as never)).toThrow("/tags: is declared as a Set, got an array");
  expect(() => (state.lookup = {} as never)).toThrow("/lookup: is declared as a Map, got an object");
  expect(() => (state.profile = { name: "x" } as never)).toThrow("/profile: is declared as Profile, got an object");
  expect(() => (state.profile = "x" as never)).toThrow("/profile: is declared as Profile, got a string");
  expect(() => (state.history = new Map() as never)).toThrow("/history: a Map is stored as an object");
  expect(() => state.groups.set("b", [] as never)).toThrow("/groups/b: is declared as a Set, got an array");
  expect(() => state.tags.add([1])).toThrow("/tags: elements of a Set must be");
  expect(() => state.tags.add(undefined)).toThrow("/tags: JSON can't hold undefined");
  expect(() => state.lookup.set(1 as never, 1)).toThrow("/lookup: keys must be strings, got 1");
  expect(() => state.lookup.set("k", undefined)).toThrow("/lookup/k: JSON can't hold undefined");
});

test("an undeclared field is refused with the nearest name", () => {
  const state = recorded().state as Notes & Record<string, unknown>;
  expect(() => (state["cuont"] = 1)).toThrow(StateFieldError);
  expect(() => (state["cuont"] = 1)).toThrow('/cuont: Notes declares no field "cuont"; did you mean "count"?');
  expect(() => ((state.profile as unknown as Record<string, unknown>)["other"] = 1)).toThrow("/profile/other");
  expect(() => Object.assign(state, { count: 2, toJSON: 1 })).toThrow(StateFieldError);
});

test("an array has no holes and no names", () => {
  const { state } = recorded();
  const list = state.history as unknown[] & Record<string, unknown>;
  expect(() => (list[9] = 1)).toThrow("/history/9: an array can't have holes");
  expect(() => (list.length = 9)).toThrow("/history: an array can't have holes");
  expect(() => delete list[0]).toThrow("/history/0: an array can't have holes: use splice");
  expect(() => (list["name"] = 1)).toThrow("/history/name: an array holds elements only");
  expect(() => (list["-1"] = 1)).toThrow("/history/-1");
  expect(() => (list["01"] = 1)).toThrow("/history/01");
  expect(state.history).toEqual(["a", "b", "c", "d"]);
});

test("parts of the state can't be frozen or given accessors", () => {
  const { state } = recorded();
  expect(() => Object.freeze(state.table)).toThrow("/table: a part of the state can't be frozen");
  expect(() => Object.seal(state.history)).toThrow(StateValueError);
  expect(() => Object.setPrototypeOf(state, null)).toThrow(StateValueError);
  expect(() => Object.defineProperty(state.table, "k", { get: () => 1 })).toThrow("/table/k: JSON can't hold accessors");
  expect(() => Object.defineProperty(state, "count", { value: 1, writable: false })).toThrow(StateValueError);
});

test("a deep value is refused, not an overflow of the stack", () => {
  let deep: unknown[] = [];
  for (let level = 0; level < 5000; level++) deep = [deep];
  expect(() => recorded().state.history.push(deep as never)).toThrow("nested deeper than 200");
});

test("more than 8 MiB in one change are refused", () => {
  const { state } = recorded();
  const text = "x".repeat(3_000_000);
  expect(() => (state.title = text.repeat(3))).toThrow("/title: more than 8388608 bytes");
  expect(() => (state.table["k"] = [text, text, text])).toThrow("more than 8388608 bytes");
  expect(() => (state.table["k"] = "\u0001".repeat(1_500_000))).toThrow("more than 8388608 bytes");
  state.table["k"] = [text, text];
  expect(state.table["k"]).toHaveLength(2);
});

const SHARES: ((s: Notes, x: unknown[]) => void)[] = [
  (s, x) => ((s.table["a"] = x), (s.table["b"] = x)),
  (s, x) => ((s.history = x as never), (s.table["b"] = x)),
  (s, x) => (s.table["a"] = [x, x]),
  (s, x) => s.history.push(x as never, x as never),
  (s, x) => (s.history.push(x as never), s.history.push(s.history.at(-1)!)),
  (s, x) => (s.history.push([x] as never), (s.table["b"] = x)),
  (s, x) => (s.history.push(x as never), (s.table["b"] = [s.history.at(-1)])),
  (s) => s.history.push(s.history),
  (s) => s.history.push({ up: s.history }),
  (s) => (s.table["me"] = s),
  (s) => (s.table["rows"] as unknown[]).fill(s.table["rows"][0]),
  (s) => (s.table["rows"] as unknown[]).fill({}),
  (s) => (s.table["rows"] as unknown[]).copyWithin(0, 1),
  (s) => ([s.table["rows"][0], s.table["rows"][1]] = [s.table["rows"][1], s.table["rows"][0]]),
  (s) => s.lookup.set("again", s.lookup.get("deep")),
  (s) => s.parts.push(s.profile),
  (s, x) => ((s.table["a"] = x), update(s.table, { b: 1, c: [x] })),
  (s, x) => ((s.history = [x] as never), s.table["rows"].push(s.history.shift(), x)),
];

describe("the same container in two places is refused", () => {
  test.each(SHARES.map((share) => [share.toString(), share] as const))("%s", (_, share) => {
    const { state } = recorded();
    expect(() => share(state, [1])).toThrow(StateAliasError);
  });
});

test("a cycle is refused", () => {
  const loop: unknown[] = [];
  loop.push({ again: loop });
  const error = thrown(() => recorded().state.history.push(loop as never));
  expect([error.path, error.why]).toEqual(["/history/-/0/again", "it would contain itself"]);
  const { state } = recorded();
  const [one, two] = [state.table["rows"].pop(), state.table["rows"].pop()];
  one.two = two;
  expect(() => (two.one = one)).toThrow(StateAliasError);
});

const NATURAL: ((s: Notes) => void)[] = [
  (s) => (s.table["rows"] = s.table["rows"]),
  (s) => (s.table["rows"] = s.table["rows"].filter((row: { n: number }) => row.n > 1)),
  (s) => (s.table["rows"] = s.table["rows"].toSorted((a: { n: number }, b: { n: number }) => b.n - a.n)),
  (s) => (s.table["rows"] = [...s.table["rows"], { n: 5 }]),
  (s) => (s.table["rows"] = s.table["rows"].map((row: object) => ({ ...row, seen: true }))),
  (s) => (s.table = { ...s.table, k: {} }),
  (s) => s.table["rows"].splice(0, 2, ...s.table["rows"].toReversed()),
  (s) => s.table["rows"].push(s.table["rows"].shift()),
  (s) => s.table["rows"].push({ ...s.table["rows"][0] }),
  (s) => s.table["rows"].push(copyOf(s.table["rows"][0])),
  (s) => (s.table["rows"][0] = { was: s.table["rows"][0] }),
  (s) => s.table["rows"].sort((a: { n: number }, b: { n: number }) => b.n - a.n),
  (s) => (s.lookup = new Map([...s.lookup].filter(([key]) => key === "deep"))),
  (s) => s.parts.push(copyOf(s.profile)),
];

describe("natural rearrangements are no aliases", () => {
  test.each(NATURAL.map((act) => [act.toString(), act] as const))("%s", (_, act) => {
    const tracked = recorded();
    act(tracked.state);
    tracked.take();
    const { rows } = tracked.state.table;
    for (const row of rows) row.mark = 1;
    expect(told(tracked)).toEqual(rows.map((_: unknown, at: number) => `add /table/rows/${at}/mark 1`));
  });
});

test("after a refused replacement the old value is still tracked", () => {
  const tracked = recorded();
  const { state } = tracked;
  expect(() => (state.table["rows"] = [state.table["rows"][0], NaN])).toThrow(StateValueError);
  expect(() => (state.table["rows"][0] = [state.table["rows"][0], new Date()])).toThrow(StateValueError);
  expect(() => state.table["rows"].splice(0, 1, {}, undefined)).toThrow("/table/rows/1");
  state.table["rows"][0].n = 7;
  expect(told(tracked)).toEqual(["replace /table/rows/0/n 7"]);
});

test("what was assigned and left again may be assigned once more", () => {
  const { state } = recorded();
  const held = [1];
  state.table["a"] = held;
  delete state.table["a"];
  state.table["b"] = held;
  expect(() => (state.table["c"] = held)).toThrow("the same container was put at /table/b before");
});

test("the variable a container came from is not the state", () => {
  const tracked = recorded();
  const mine = [1];
  tracked.state.table["a"] = mine;
  mine.push(2);
  expect(tracked.state.table["a"]).toEqual([1]);
  expect(told(tracked)).toEqual(["add /table/a [1]"]);
});

test("an array that is changed while it is sorted is refused", () => {
  const { state } = recorded();
  expect(() => state.history.sort(() => state.history.push("more"))).toThrow("changed while it was sorted");
});

test("a comparison that throws changes nothing", () => {
  const tracked = recorded();
  expect(() =>
    tracked.state.history.sort(() => {
      throw new RangeError("no order");
    }),
  ).toThrow("no order");
  expect(tracked.take()).toEqual([]);
});

test("functions are no fields", () => {
  class Wrong extends DeltaState {
    act = () => 1;
  }
  expect(() => track(Wrong, null, () => {})).toThrow("/act: JSON can't hold the function act");
});
