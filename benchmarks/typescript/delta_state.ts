/**
 * What it costs to change tracked state in TypeScript: the same changes as in `benchmarks/delta_state.py`, by name.
 * Prints one JSON object: `{ name: [tracked µs, untracked µs] }`, medians of the rounds the first argument gives.
 */

import { DeltaState, track } from "../../typescript/agent/src/state/index.ts";

const MUTATIONS = 20_000;
const PER_TURN = 100;

interface Fields {
  count: number;
  history: unknown[];
  table: { key?: number; rows: { done: number }[] };
  tags: Set<number>;
}

const rows = (): { done: number }[] => Array.from({ length: 50 }, () => ({ done: 0 }));

/** A state with one field of every kind. */
class Bench extends DeltaState implements Fields {
  count = 0;
  history: unknown[] = [];
  table: Fields["table"] = { rows: rows() };
  tags = new Set<number>();
}

const KINDS: Record<string, (state: Fields, n: number) => unknown> = {
  count: (state, n) => (state.count = n),
  item: (state, n) => (state.table.key = n),
  leaf: (state, n) => (state.table.rows[n % 50]!.done = n),
  append: (state) => state.history.push("some text of a message"),
  record: (state, n) => state.history.push({ role: "user", text: "hello", n }),
  add: (state, n) => (n % 400 < 200 ? state.tags.add(n % 200) : state.tags.delete(n % 200)),
};

/** Processor time of one change in µs over a round, the writing of the operations included. */
function cost(change: (state: Fields, n: number) => unknown, tracked: boolean): number {
  const recorded = tracked ? track(Bench, null, () => {}) : undefined;
  const state: Fields = recorded?.state ?? { count: 0, history: [], table: { rows: rows() }, tags: new Set() };
  const start = process.cpuUsage();
  for (let n = 0; n < MUTATIONS; n++) {
    change(state, n);
    if (n % PER_TURN === 0) JSON.stringify(recorded?.take());
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / MUTATIONS;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

const rounds = Array.from({ length: Number(process.argv[2] ?? 5) });
const found = Object.entries(KINDS).map(([name, change]) => {
  const [tracked, plain] = [true, false].map((kind) => median(rounds.map(() => cost(change, kind))));
  return [name, [tracked, plain]];
});
console.log(JSON.stringify(Object.fromEntries(found)));
