/** A state with a field of every kind, for tests. */

import { arrayOf, DeltaState, mapOf, type Json, type Operation, type Tracked, track } from "../../src/state/index.ts";

/** An object inside a state. */
export class Profile extends DeltaState {
  name = "nobody";
  langs = new Set<string>();
}

/** A field of every kind. */
export class Notes extends DeltaState {
  count = 0;
  title = "t";
  maybe: string | undefined;
  history: Json[] = [];
  table: Record<string, any> = {};
  lookup = new Map<string, any>();
  tags = new Set<any>();
  profile = new Profile();
  parts = arrayOf(new Profile());
  groups = mapOf(new Set<string>());
}

/** What `recorded` starts from. */
export const BEFORE: Record<string, Json> = {
  count: 1,
  title: "t",
  history: ["a", "b", "c", "d"],
  table: { x: 1, rows: [{ n: 1 }, { n: 2 }] },
  lookup: { x: 1, deep: { list: [1] } },
  tags: ["b", "d"],
  profile: { name: "nobody", langs: [] },
  parts: [{ name: "one", langs: ["py"] }],
  groups: { a: ["x"] },
};

/** A recorded state with the values of `data`; nothing is recorded yet. */
export function recorded(data: Record<string, Json> = BEFORE): Tracked<Notes> {
  const tracked = track(Notes, structuredClone(data), () => {});
  tracked.take();
  return tracked;
}

/** The operations since the last call, one text for each. */
export function told(tracked: Tracked<DeltaState>): string[] {
  return written(tracked.take());
}

/** Each operation as a text. */
export function written(operations: readonly Operation[]): string[] {
  return operations.map(({ op, path, value }) => {
    return value === undefined ? `${op} ${path}` : `${op} ${path} ${JSON.stringify(value)}`;
  });
}
