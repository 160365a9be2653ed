import { expect, test } from "bun:test";
import { join } from "node:path";

import { factoryOf, load } from "../src/entry.ts";
import { AgentEntryError, BaseAgent } from "../src/index.ts";

const ENTRIES = join(import.meta.dir, "entries");

test("an entry is a file's default export, or a named one", async () => {
  const counter = await load(join(import.meta.dir, "agents"), "counter.ts");
  expect(await counter({ a: 1 })).toBeInstanceOf(BaseAgent);
  expect((await counter({ a: 1 })).config).toEqual({ a: 1 });
  const first = await load(ENTRIES, "several.ts:First");
  expect((await first({})).constructor.name).toBe("First");
  const made = await load(ENTRIES, "./several.ts:made");
  expect((await made({})).constructor.name).toBe("First");
});

test.each([
  ["", "write a file of the bundle"],
  ["../entry.test.ts", "write a file of the bundle"],
  ["nothing.ts", "there is no file"],
  ["broken.ts", "importing broken.ts failed: RangeError: no key"],
  ["several.ts", "has no default export: write `export default (config) => new MyAgent(config)`; of agents it exports First, Second"],
  ["several.ts:Third", 'exports no "Third"; of agents it exports First, Second'],
  ["several.ts:Other", "Other is not derived from BaseAgent"],
  ["several.ts:value", "it is 3, neither a class nor a function"],
])("entry %p is refused, saying why", async (entry, why) => {
  const loading = load(ENTRIES, entry);
  await expect(loading).rejects.toThrow(AgentEntryError);
  await expect(loading).rejects.toThrow(why);
});

test("a function that makes no agent is refused when it is called", async () => {
  const factory = await load(ENTRIES, "several.ts:wrong");
  await expect(Promise.resolve(factory({}))).rejects.toThrow("it made an object of Other, no agent derived from BaseAgent");
  expect(() => factoryOf(null)).toThrow("it is null");
});
