/** Errors of the SDK, named by what the author should do about them. */

/** Base of everything the SDK throws on purpose. */
export class AgentError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The manifest's `entry` can't be loaded; the message says which part and why. */
export class AgentEntryError extends AgentError {}

/** A call that can't mean anything here: a message that has ended, an event an agent may not emit, a value JSON can't hold. */
export class AgentUsageError extends AgentError {}

/** The coordinator refused a request (`messages`, `checkpoint`, `history`, `restore`), or did not answer in time. */
export class AgentRequestError extends AgentError {}

/** The stored state can't be turned into what the state class now declares; it is left as it was. */
export class MigrationError extends AgentError {}

/** The peer broke the framing or the schema of the agent link; it can't go on. */
export class LinkError extends AgentError {}

/**
 * The turn is to end. Every call of a context that waits throws it from then on; it is also the `reason` of `ctx.signal`.
 *
 * Let it pass. A turn that catches it and goes on still counts as cancelled.
 */
export class TurnCancelled extends AgentError {
  constructor(message = "the turn was cancelled") {
    super(message);
  }
}

/** The name an error goes by: its `name`, or that of its class when nobody gave it one. */
export function errorName(error: unknown): string {
  if (!(error instanceof Error)) return error === null ? "null" : typeof error;
  return error.name === "Error" ? error.constructor.name : error.name;
}

/** What an error says; of what was thrown and is no error, its text. */
export function errorMessage(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const place = (error as { position?: { file?: string; line?: number; column?: number } | null } | null)?.position;
  return place?.file === undefined ? message : `${message} (${place.file}:${place.line ?? 0}:${place.column ?? 0})`;
}

/** The stack of an error, and of those that caused it. */
export function traceback(error: unknown): string {
  const told: string[] = [];
  const seen = new Set<unknown>();
  for (let at = error; at !== undefined && !seen.has(at); at = at instanceof Error ? at.cause : undefined) {
    seen.add(at);
    const name = `${errorName(at)}: ${errorMessage(at)}`;
    const stack = at instanceof Error ? (at.stack ?? "") : "";
    const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
    told.push([name, ...frames].join("\n"));
    if (at instanceof AggregateError) told.push(...at.errors.map((inner) => `  - ${traceback(inner)}`));
  }
  return told.join("\ncaused by ");
}
