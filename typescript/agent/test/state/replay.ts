/** Performs the programs on standard input, one in each line, and writes their operations and states, one in each line. */

import { MapProgramState, type Program, ProgramState, run } from "./programs.ts";

const stateClass = process.argv[2] === "map" ? MapProgramState : ProgramState;
for await (const line of console) {
  if (line === "") continue;
  console.log(JSON.stringify(run(JSON.parse(line) as Program, stateClass)));
}
