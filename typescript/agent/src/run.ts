/**
 * Runs one agent in this process: `bun run.ts run DIRECTORY ENTRY [GATE]`, with `PODIUM_SOCKET` in the environment.
 *
 * With a `GATE`, the descriptor of a pipe, it is started before its workspace is there: it waits for a byte from the pipe, and goes into
 * `AGENT_WORKSPACE`. Then the author's module is loaded; it connects when that is done, and not before. What the process prints is no part
 * of the link.
 */

import { closeSync, readSync } from "node:fs";

import { connect } from "./connection.ts";
import { load } from "./entry.ts";
import { AgentEntryError, errorMessage, LinkError, traceback } from "./errors.ts";
import { provideSdk, SOCKET_VARIABLE, WORKSPACE_VARIABLE } from "./platform.ts";
import { serve } from "./serve.ts";

/** Exit code when the author's module can't be loaded, or nobody listens; stderr says why. */
const EXIT_NOT_STARTED = 1;

/** Exit code when the arguments are wrong. */
const EXIT_USAGE = 64;

/** Does what the arguments say; returns the exit code. */
async function main(task?: string, ...rest: string[]): Promise<number> {
  const [directory, entry, gate] = rest;
  const socket = process.env[SOCKET_VARIABLE];
  if (task !== "run" || directory === undefined || entry === undefined || socket === undefined) {
    console.error(`usage: ${SOCKET_VARIABLE}=… bun run.ts run DIRECTORY ENTRY [GATE]`);
    return EXIT_USAGE;
  }
  provideSdk();
  try {
    if (gate !== undefined) enterWorkspace(Number(gate));
    const factory = await load(directory, entry);
    return await serve(await connect(socket), factory, { ownsProcess: true });
  } catch (error) {
    console.error(error instanceof AgentEntryError && error.cause === undefined ? errorMessage(error) : traceback(error));
    return EXIT_NOT_STARTED;
  }
}

/** Waits until the workspace is there, and goes into it. Throws when it will not be. */
function enterWorkspace(gate: number): void {
  const came = readSync(gate, new Uint8Array(1));
  closeSync(gate);
  if (came === 0) throw new LinkError("the workspace did not come");
  process.chdir(process.env[WORKSPACE_VARIABLE] ?? "");
}

// Not awaited at the top: then Bun could not compile it ahead.
void main(...process.argv.slice(2)).then((code) => process.exit(code));
