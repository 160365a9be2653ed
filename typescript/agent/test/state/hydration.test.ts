/** Stored JSON becomes a state, and a state becomes JSON. */

import { expect, test } from "bun:test";
import { DeltaState, StateValueError, track } from "../../src/state/index.ts";
import { applied } from "./patch.ts";
import { BEFORE, Notes, Profile, recorded, told } from "./states.ts";

test("fields take the kind of their initial values", () => {
  const { state } = recorded();
  expect(state.tags).toBeInstanceOf(Set);
  expect(state.lookup).toBeInstanceOf(Map);
  expect(state.profile).toBeInstanceOf(Profile);
  expect(state.parts[0]).toBeInstanceOf(Profile);
  expect(state.parts[0]!.langs).toBeInstanceOf(Set);
  expect(state.groups.get("a")).toBeInstanceOf(Set);
  expect(Array.isArray(state.history)).toBe(true);
  expect(state).toBeInstanceOf(Notes);
});

test("a stored state comes back as it was", () => {
  expect(recorded().toJSON()).toEqual(BEFORE);
  expect(recorded().toJSON()).toEqual(JSON.parse(JSON.stringify(recorded().state)));
});

test("a new state has the initial values and no operations", () => {
  const tracked = track(Notes, null, () => {});
  expect(tracked.take()).toEqual([]);
  expect(tracked.toJSON()).toEqual({
    count: 0,
    title: "t",
    history: [],
    table: {},
    lookup: {},
    tags: [],
    profile: { name: "nobody", langs: [] },
    parts: [],
    groups: {},
  });
});

test("fields the stored state lacks take their initial values as operations, also inside", () => {
  const before = { count: 3, profile: { name: "Ada" }, parts: [{}] };
  let calls = 0;
  const tracked = track(Notes, structuredClone(before), () => calls++);
  expect(calls).toBe(1);
  const taken = tracked.take();
  expect(applied(before, taken)).toEqual(tracked.toJSON());
  expect(taken.map(({ op, path }) => `${op} ${path}`)).toEqual([
    "add /title",
    "add /history",
    "add /table",
    "add /lookup",
    "add /tags",
    "add /groups",
    "add /profile/langs",
    "add /parts/0/name",
    "add /parts/0/langs",
  ]);
});

test("fields that are stored but not declared are kept, and may be changed", () => {
  const tracked = recorded({ ...BEFORE, legacy: [1] });
  const state = tracked.state as Notes & { legacy: number[] };
  state.legacy.push(2);
  state.legacy = [];
  expect(told(tracked)).toEqual(["add /legacy/- 2", "replace /legacy []"]);
  expect(tracked.toJSON()["legacy"]).toEqual([]);
});

test("stored data that does not fit the class is refused naming the place", () => {
  expect(() => track(Notes, { ...BEFORE, tags: { a: 1 } }, () => {})).toThrow(StateValueError);
  expect(() => track(Notes, { ...BEFORE, parts: [{ langs: 5 }] }, () => {})).toThrow("is declared as a Set, got a number");
  expect(() => track(Notes, { ...BEFORE, lookup: [] }, () => {})).toThrow("/lookup: is declared as a Map, got an array");
});

test("null may stand where a Map, Set or object is declared", () => {
  const tracked = recorded({ ...BEFORE, tags: null, profile: null });
  expect([tracked.state.tags, tracked.state.profile]).toEqual([null, null] as never);
  tracked.state.tags = new Set(["a"]);
  tracked.state.profile = new Profile();
  expect(told(tracked)).toEqual(['replace /tags ["a"]', 'replace /profile {"name":"nobody","langs":[]}']);
});

test("fields may be inherited, redefined, and set by the constructor", () => {
  class Base extends DeltaState {
    items: unknown = [];
    kept = 1;
  }
  class Derived extends Base {
    override items = new Set<string>();
    extra: number;
    constructor() {
      super();
      this.extra = 5;
    }
  }
  const tracked = track(Derived, { items: ["b", "a"], kept: 2 }, () => {});
  expect(tracked.state.items).toBeInstanceOf(Set);
  expect(told(tracked)).toEqual(["add /extra 5"]);
  expect(tracked.toJSON()).toEqual({ items: ["a", "b"], kept: 2, extra: 5 });
});

test("fields that are only assigned are declared by the constructor", () => {
  // What a compiler makes of class fields when it is told not to define them, and what plain JavaScript authors write.
  const Assigned = class extends DeltaState {
    constructor() {
      super();
      Object.assign(this, { count: 0, tags: new Set() });
    }
  } as unknown as new () => DeltaState & { count: number; tags: Set<string>; cuont?: number };
  const tracked = track(Assigned, { count: 1, tags: ["x"] }, () => {});
  tracked.state.tags.add("y");
  tracked.state.count = 2;
  expect(told(tracked)).toEqual(['add /tags/- "y"', "replace /count 2"]);
  expect(() => (tracked.state.cuont = 1)).toThrow('did you mean "count"?');
});

test("instances share no initial values", () => {
  const shared = [1];
  class Sharing extends DeltaState {
    items = shared;
  }
  const [first, second] = [new Sharing(), new Sharing()];
  first.items.push(2);
  expect([first.items, second.items, shared]).toEqual([[1, 2], [1], [1]]);
});

test("a class that is no state class is refused", () => {
  expect(() => track(Date as never, null, () => {})).toThrow("Date does not extend DeltaState");
});
