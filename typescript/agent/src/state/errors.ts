/** Errors of a state, named by what the author should do about them. */

import { AgentError } from "../errors.ts";

/** The state can't take a change; `path` is the JSON Pointer of the place. Nothing was changed. */
export class StateError extends AgentError {
  /** JSON Pointer of the offending place; empty for the state itself. */
  readonly path: string;
  /** What is wrong, without the place. */
  readonly why: string;

  constructor(path: string, why: string) {
    super(`${path || "/"}: ${why}`);
    this.path = path;
    this.why = why;
  }
}

/** JSON can't hold the value, or the place is declared for another kind of value. */
export class StateValueError extends StateError {}

/** The same array, object, Map or Set would be in two places of the state, or inside itself. */
export class StateAliasError extends StateError {}

/** The state class declares no such field. */
export class StateFieldError extends StateError {}

/** What an author does about an alias. */
export const COPY_IT = "assign a copy (copyOf), or take it out of the other place first";
