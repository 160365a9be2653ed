/** Delta state: plain objects whose mutation is recorded as JSON Patch. */

import "./arrays.ts";
import "./maps.ts";
import "./records.ts";
import "./sets.ts";

export { clear, copyOf, update } from "./containers.ts";
export { StateAliasError, StateError, StateFieldError, StateValueError } from "./errors.ts";
export type { Json, Operation } from "./json.ts";
export { DeltaState } from "./objects.ts";
export { arrayOf, mapOf, recordOf } from "./shapes.ts";
export { track, type Tracked } from "./tracked.ts";
