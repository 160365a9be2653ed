/** Each mutation becomes the smallest natural operation. */

import { describe, expect, test } from "bun:test";
import { clear, DeltaState, track, update } from "../../src/state/index.ts";
import { applied } from "./patch.ts";
import { BEFORE, Notes, Profile, recorded, told, written } from "./states.ts";

const MUTATIONS: [(s: Notes) => unknown, string[]][] = [
  [(s) => (s.count += 1), ["replace /count 2"]],
  [(s) => s.count++, ["replace /count 2"]],
  [(s) => (s.count = 1), []],
  [(s) => (s.maybe = "now"), ['add /maybe "now"']],
  [(s) => (s.maybe = undefined), []],
  [(s) => delete (s as Partial<Notes>).title, ["remove /title"]],
  [(s) => ((s as Partial<Notes>).title = undefined as never), ["remove /title"]],
  [(s) => s.history.push("e"), ['add /history/- "e"']],
  [(s) => (s.history[4] = "e"), ['add /history/- "e"']],
  [(s) => s.history.push("e", "f"), ['replace /history ["a","b","c","d","e","f"]']],
  [(s) => s.history.push(), []],
  [(s) => s.history.unshift("z"), ['add /history/0 "z"']],
  [(s) => s.history.splice(3, 0, "z"), ['add /history/3 "z"']],
  [(s) => s.history.splice(-1, 0, "z"), ['add /history/3 "z"']],
  [(s) => s.history.splice(99, 1, "z"), ['add /history/- "z"']],
  [(s) => s.history.splice(1, 1), ["remove /history/1"]],
  [(s) => s.history.splice(1, 2), ['replace /history ["a","d"]']],
  [(s) => s.history.splice(0, 1, "z"), ['replace /history/0 "z"']],
  [(s) => s.history.splice(0), ["replace /history []"]],
  [(s) => s.history.pop(), ["remove /history/3"]],
  [(s) => s.history.shift(), ["remove /history/0"]],
  [(s) => (s.history[3] = "z"), ['replace /history/3 "z"']],
  [(s) => (s.history.length = 0), ["replace /history []"]],
  [(s) => (s.history.length = 3), ["remove /history/3"]],
  [(s) => (s.history.length = 4), []],
  [(s) => s.history.sort(), []],
  [(s) => s.history.sort((a, b) => (String(a) < String(b) ? 1 : -1)), ['replace /history ["d","c","b","a"]']],
  [(s) => s.history.reverse(), ['replace /history ["d","c","b","a"]']],
  [(s) => s.history.fill("a", 0, 2), ['replace /history/1 "a"']],
  [(s) => s.history.fill("b"), ['replace /history ["b","b","b","b"]']],
  [(s) => s.history.copyWithin(0, 3), ['replace /history/0 "d"']],
  [(s) => (s.history = []), ["replace /history []"]],
  [(s) => (s.table["a/b~c"] = 1), ["add /table/a~1b~0c 1"]],
  [(s) => Object.assign(s.table, { x: 2, y: 3 }), ["replace /table/x 2", "add /table/y 3"]],
  [(s) => update(s.table, { x: 2 }), ["replace /table/x 2"]],
  [(s) => ((s.table["y"] ??= []), s.table["y"].push(1)), ["add /table/y []", "add /table/y/- 1"]],
  [(s) => delete s.table["x"], ["remove /table/x"]],
  [(s) => delete s.table["none"], []],
  [(s) => (s.table["x"] = undefined), ["remove /table/x"]],
  [(s) => clear(s.table), ["replace /table {}"]],
  [(s) => (s.table["rows"][1].n += 5), ["replace /table/rows/1/n 7"]],
  [(s) => (s.table["__proto__"] = 1), ["add /table/__proto__ 1"]],
  [(s) => s.lookup.set("x", 2), ["replace /lookup/x 2"]],
  [(s) => s.lookup.set("y", { a: undefined }), ["add /lookup/y {}"]],
  [(s) => s.lookup.get("deep").list.push(2), ["add /lookup/deep/list/- 2"]],
  [(s) => s.lookup.delete("x"), ["remove /lookup/x"]],
  [(s) => s.lookup.clear(), ["replace /lookup {}"]],
  [(s) => update(s.lookup, new Map([["x", 3]])), ["replace /lookup/x 3"]],
  [(s) => (s.lookup = new Map([["k", 1]])), ['replace /lookup {"k":1}']],
  [(s) => s.tags.add("c"), ['add /tags/1 "c"']],
  [(s) => s.tags.add("z"), ['add /tags/- "z"']],
  [(s) => s.tags.add("b"), []],
  [(s) => s.tags.add(7).add(null), ["add /tags/0 7", "add /tags/0 null"]],
  [(s) => s.tags.delete("d"), ["remove /tags/1"]],
  [(s) => s.tags.clear(), ["replace /tags []"]],
  [(s) => (s.tags = new Set(["\uff5e", "😀", "a", 10, 9])), ['replace /tags [9,10,"a","\uff5e","😀"]']],
  [(s) => (s.profile.name = "Ada"), ['replace /profile/name "Ada"']],
  [(s) => s.profile.langs.add("py"), ['add /profile/langs/- "py"']],
  [(s) => (s.profile = new Profile()), ['replace /profile {"name":"nobody","langs":[]}']],
  [(s) => s.parts[0]!.langs.add("ts"), ['add /parts/0/langs/- "ts"']],
  [(s) => s.parts.push(new Profile()), ['add /parts/- {"name":"nobody","langs":[]}']],
  [(s) => s.groups.get("a")!.add("y"), ['add /groups/a/- "y"']],
  [(s) => s.groups.set("b", new Set(["q", "p"])), ['add /groups/b ["p","q"]']],
  [(s) => (s.count = -0), ["replace /count 0"]],
];

describe("a mutation becomes its natural operation", () => {
  test.each(MUTATIONS.map(([mutate, ops]) => [mutate.toString().replace("(s) => ", ""), mutate, ops] as const))(
    "%s",
    (_, mutate, ops) => {
      const tracked = recorded();
      mutate(tracked.state);
      const taken = tracked.take();
      expect(written(taken)).toEqual(ops);
      expect(applied(BEFORE, taken)).toEqual(tracked.toJSON());
    },
  );
});

test("Map.getOrInsert gives what is stored", () => {
  const tracked = recorded();
  const lookup = tracked.state.lookup as Map<string, any> & {
    getOrInsert(key: string, value: unknown): any;
    getOrInsertComputed(key: string, compute: (key: string) => unknown): any;
  };
  lookup.getOrInsert("x", 9);
  lookup.getOrInsert("rows", []).push(1);
  lookup.getOrInsertComputed("made", (key) => [key]).push(2);
  expect(told(tracked)).toEqual([
    "add /lookup/rows []",
    "add /lookup/rows/- 1",
    'add /lookup/made ["made"]',
    "add /lookup/made/- 2",
  ]);
});

test("every method of this engine that changes an array, Map or Set is known", () => {
  const readers =
    /^(constructor|length|size|at|concat|entries|every|filter|find.*|flat|flatMap|forEach|get|has|includes|indexOf|is.*Of|isDisjointFrom|join|keys|lastIndexOf|map|reduce|reduceRight|slice|some|to.*|union|intersection|difference|symmetricDifference|values|with)$/;
  const changers = [Array, Map, Set].map((type) => {
    return Object.getOwnPropertyNames(type.prototype).filter((name) => !readers.test(name)).sort();
  });
  expect(changers).toEqual([
    ["copyWithin", "fill", "pop", "push", "reverse", "shift", "sort", "splice", "unshift"],
    ["clear", "delete", "getOrInsert", "getOrInsertComputed", "set"],
    ["add", "clear", "delete"],
  ]);
});

test("many elements are one operation each, or all of them when that is shorter", () => {
  const tracked = recorded({ history: ["x".repeat(200)] });
  tracked.state.history.push(1, 2);
  expect(told(tracked)).toEqual(["add /history/- 1", "add /history/- 2"]);
  tracked.state.history.shift();
  tracked.take();
  tracked.state.history.unshift(5, 6);
  expect(told(tracked)).toEqual(["replace /history [5,6,1,2]"]);
});

test("repeated assignments of one place become one operation", () => {
  const tracked = recorded();
  for (let number = 0; number < 1000; number++) tracked.state.count = number;
  expect(told(tracked)).toEqual(["replace /count 999"]);
});

test("one changed leaf of a mebibyte writes one leaf", () => {
  const rows = Array.from({ length: 1050 }, (_, id) => ({ id, text: "x".repeat(1000), done: false }));
  const tracked = recorded({ table: { rows } });
  tracked.state.table["rows"][700].done = true;
  expect(told(tracked)).toEqual(["replace /table/rows/700/done true"]);
});

test("elements are found after insertions and removals before them", () => {
  const tracked = recorded();
  const { rows } = tracked.state.table;
  const second = rows[1];
  rows.unshift({ n: 0 });
  second.n = "moved";
  expect(told(tracked).at(-1)).toBe('replace /table/rows/2/n "moved"');
  rows.splice(0, 2);
  second.n = "again";
  expect(told(tracked).at(-1)).toBe('replace /table/rows/0/n "again"');
});

test("sorted and reversed elements keep their identity", () => {
  const tracked = recorded();
  const { rows } = tracked.state.table;
  const first = rows[0];
  rows.reverse();
  first.n = "last";
  expect(rows[1]).toBe(first);
  expect(told(tracked).at(-1)).toBe('replace /table/rows/1/n "last"');
});

test("more moved elements than a few are one replacement", () => {
  const tracked = recorded({ history: Array.from({ length: 40 }, (_, n) => "x".repeat(500) + n) });
  tracked.state.history.reverse();
  expect(told(tracked)).toHaveLength(1);
});

test("what was taken out records nothing and may come back", () => {
  const tracked = recorded();
  const row = tracked.state.table["rows"].shift();
  told(tracked);
  row.n = "outside";
  expect(told(tracked)).toEqual([]);
  tracked.state.table["kept"] = row;
  expect(tracked.state.table["kept"]).toBe(row);
  row.n = "inside";
  expect(told(tracked)).toEqual(['add /table/kept {"n":"outside"}', 'replace /table/kept/n "inside"']);
});

test("a container that was replaced by a scalar records nothing", () => {
  const tracked = recorded();
  const { rows } = tracked.state.table;
  tracked.state.table["rows"] = 5;
  rows.push(1);
  const list = tracked.state.lookup.get("deep").list;
  tracked.state.lookup.set("deep", null);
  list.push(1);
  expect(told(tracked)).toEqual(["replace /table/rows 5", "replace /lookup/deep null"]);
});

test("what moved out of a detached container stays where it went", () => {
  const tracked = recorded();
  const deep = tracked.state.lookup.get("deep");
  tracked.state.lookup.delete("deep");
  tracked.state.history.push(deep.list);
  delete deep.list;
  (tracked.state.history[4] as number[]).push(2);
  expect(told(tracked).at(-1)).toBe("add /history/4/- 2");
});

test("the operation holds the value of its moment", () => {
  const tracked = recorded();
  tracked.state.history.push([]);
  (tracked.state.history[4] as number[]).push(1);
  expect(told(tracked)).toEqual(["add /history/- []", "add /history/4/- 1"]);
});

test("methods of the class and accessors record like everybody", () => {
  class Rich extends DeltaState {
    total = 1;
    #calls = 0;
    _note = "not stored";
    get doubled(): number {
      return this.total * 2;
    }
    set doubled(value: number) {
      this.total = value / 2;
    }
    raise(): number {
      this.total += 1;
      return ++this.#calls;
    }
  }
  const tracked = track(Rich, { total: 5 }, () => {});
  expect([tracked.state.raise(), tracked.state.raise()]).toEqual([1, 2]);
  tracked.state.doubled = 20;
  tracked.state._note = "still not";
  expect(told(tracked)).toEqual(["replace /total 10"]);
  expect([tracked.state.doubled, tracked.state._note]).toEqual([20, "still not"]);
  expect(tracked.toJSON()).toEqual({ total: 10 });
});

test("onChange is called at the first change after each take", () => {
  let calls = 0;
  const tracked = track(Notes, null, () => calls++);
  expect([calls, tracked.take()]).toEqual([0, []]);
  tracked.state.count = 1;
  tracked.state.title = "x";
  expect(calls).toBe(1);
  tracked.take();
  expect(tracked.take()).toEqual([]);
  tracked.state.count = 2;
  expect(calls).toBe(2);
});
