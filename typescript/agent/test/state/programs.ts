/** The generated programs of `spec/state`, performed with the TypeScript SDK. The format is in docs/internals/delta-state.md. */

import { clear, DeltaState, type Json, type Operation, track, update } from "../../src/state/index.ts";

/** One step: `do` names it, `at` is the path of the container, the rest are its arguments. */
export interface Step {
  readonly do: string;
  readonly at: readonly (string | number)[];
  readonly key?: string | number;
  readonly value?: Json;
  readonly values?: Json;
  readonly index?: number;
  readonly count?: number;
}

/** What a program starts from and does. */
export interface Program {
  readonly name: string;
  readonly before: Record<string, Json>;
  readonly steps: readonly (readonly Step[])[];
}

/** What performing a program gives: the operations of every batch, and the state after the last. */
export interface Outcome {
  readonly ops: readonly (readonly Operation[])[];
  readonly after: Record<string, Json>;
}

/** The state every program works on. */
export class ProgramState extends DeltaState {
  number = 0;
  text = "";
  items: Json[] = [];
  table: Record<string, Json> = {};
  tags = new Set<string>();
}

/** The same, with a Map in the place of the object. */
export class MapProgramState extends DeltaState {
  number = 0;
  text = "";
  items: Json[] = [];
  table = new Map<string, Json>();
  tags = new Set<string>();
}

/** Performs `program` on a state of `stateClass`. */
export function run(program: Program, stateClass: new () => DeltaState = ProgramState): Outcome {
  const tracked = track(stateClass, structuredClone(program.before), () => {});
  const ops = program.steps.map((batch) => {
    for (const step of batch) perform(tracked.state, step);
    return tracked.take();
  });
  return { ops, after: tracked.toJSON() };
}

type Container = unknown[] | Map<string, unknown> | Set<unknown> | Record<string, unknown>;

/** Does one step as an author would. */
export function perform(state: DeltaState, step: Step): void {
  const target = step.at.reduce<unknown>((node, part) => {
    return node instanceof Map ? node.get(String(part)) : (node as Record<string, unknown>)[part];
  }, state) as Container;
  if (step.do === "clear") clear(target);
  else if (target instanceof Set) performOnSet(target, step);
  else if (Array.isArray(target)) performOnArray(target, step);
  else performOnMembers(target, step);
}

function performOnSet(target: Set<unknown>, step: Step): void {
  if (step.do === "add") target.add(step.value);
  else if (step.do === "discard") target.delete(step.value);
  else throw new Error(`a set has no ${step.do}`);
}

function performOnMembers(target: Map<string, unknown> | Record<string, unknown>, step: Step): void {
  const key = String(step.key);
  if (step.do === "update") update(target, step.values as Record<string, Json>);
  else if (step.do === "delete") target instanceof Map ? target.delete(key) : delete target[key];
  else if (step.do !== "set") throw new Error(`an object has no ${step.do}`);
  else if (target instanceof Map) target.set(key, step.value);
  else target[key] = key === "tags" && target instanceof DeltaState ? new Set(step.value as string[]) : step.value;
}

function performOnArray(target: unknown[], step: Step): void {
  const { index = 0, count = 0, value } = step;
  const values = (step.values ?? []) as Json[];
  const acts: Record<string, () => unknown> = {
    set: () => (target[step.key as number] = value),
    delete: () => removeAt(target, step.key as number),
    append: () => target.push(value),
    extend: () => target.push(...values),
    insert: () => insertAt(target, index, value),
    pop: () => target.pop(),
    splice: () => target.splice(index, count, ...values),
    sort: () => target.sort(),
    reverse: () => target.reverse(),
  };
  const act = acts[step.do];
  if (act === undefined) throw new Error(`an array has no ${step.do}`);
  act();
}

/** An author writes `shift` and `pop` at the ends: `splice` that empties an array replaces it. */
function removeAt(target: unknown[], index: number): void {
  if (index === 0) target.shift();
  else target.splice(index, 1);
}

function insertAt(target: unknown[], index: number, value: unknown): void {
  if (index === target.length) target.push(value);
  else target.splice(index, 0, value);
}
