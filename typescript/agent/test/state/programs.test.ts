/** The generated programs give the same operations and states as in every other SDK. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { applied } from "./patch.ts";
import { MapProgramState, type Outcome, type Program, ProgramState, run } from "./programs.ts";

const DIRECTORY = join(import.meta.dir, "../../../../spec/state");
const FILES = readdirSync(DIRECTORY).filter((name) => name.endsWith(".jsonl"));

test("there are programs", () => {
  expect(FILES.length).toBeGreaterThanOrEqual(5);
});

for (const file of FILES) {
  const programs = readFileSync(join(DIRECTORY, file), "utf8").trimEnd().split("\n");
  for (const stateClass of [ProgramState, MapProgramState]) {
    test.each(programs.map((line) => JSON.parse(line) as Program & Outcome))(
      `$name gives its operations and they give its state (${stateClass.name})`,
      (program) => {
        const { ops, after } = run(program, stateClass);
        expect(JSON.stringify(ops)).toBe(JSON.stringify(program.ops));
        expect(JSON.stringify(after)).toBe(JSON.stringify(program.after));
        expect(JSON.stringify(applied(program.before, ops.flat()))).toBe(JSON.stringify(after));
      },
    );
  }
}
