/**
 * Runs one agent in this process: `bun run.ts run DIRECTORY ENTRY`, with `PODIUM_SOCKET` in the environment.
 *
 * It connects when the author's module is loaded, and not before. What the process prints is no part of the link.
 */

import { connect } from "./connection.ts";
import { load } from "./entry.ts";
import { AgentEntryError, errorMessage, traceback } from "./errors.ts";
import { provideSdk, SOCKET_VARIABLE } from "./platform.ts";
import { serve } from "./serve.ts";

/** Exit code when the author's module can't be loaded, or nobody listens; stderr says why. */
const EXIT_NOT_STARTED = 1;

/** Exit code when the arguments are wrong. */
const EXIT_USAGE = 64;

/** Does what the arguments say; returns the exit code. */
async function main(task?: string, ...rest: string[]): Promise<number> {
  const [directory, entry] = rest;
  const socket = process.env[SOCKET_VARIABLE];
  if (task !== "run" || directory === undefined || entry === undefined || socket === undefined) {
    console.error(`usage: ${SOCKET_VARIABLE}=… bun run.ts run DIRECTORY ENTRY`);
    return EXIT_USAGE;
  }
  provideSdk();
  try {
    const factory = await load(directory, entry);
    return await serve(await connect(socket), factory, { ownsProcess: true });
  } catch (error) {
    console.error(error instanceof AgentEntryError && error.cause === undefined ? errorMessage(error) : traceback(error));
    return EXIT_NOT_STARTED;
  }
}

// Not awaited at the top: then Bun could not compile it ahead.
void main(...process.argv.slice(2)).then((code) => process.exit(code));
