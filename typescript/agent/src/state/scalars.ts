/// <reference lib="es2024.string" />
/** Values that are no containers, on their way into a state. */

import { StateValueError } from "./errors.ts";
import { bytesOf, CHANGE_MAX_BYTES, type Json } from "./json.ts";

/** A value that is no container. */
export type Scalar = string | number | boolean | null;

/** Longer strings are measured before they are taken. */
const SHORT = 1 << 20;

/** The bytes of JSON one UTF-16 unit can take: an escaped control character. */
const UNIT_MAX_BYTES = 6;

/** More than any number, `true`, `null` or punctuation takes. */
const SCALAR_MAX_BYTES = 32;

/** What is said about a change of more than `CHANGE_MAX_BYTES`. */
export const TOO_LARGE = `more than ${CHANGE_MAX_BYTES} bytes of JSON in one change`;

/** Whether `value` is a scalar that surely is right; the others are looked at more closely. */
export function isSimple(value: unknown): value is Scalar {
  if (typeof value === "string") return value.length < SHORT && value.isWellFormed();
  if (typeof value === "number") return Number.isFinite(value);
  return typeof value === "boolean" || value === null;
}

/** Zero has no sign in JSON as JavaScript writes it. */
export function stored(value: Scalar): Scalar {
  return value === 0 ? 0 : value;
}

/**
 * `value` as it is stored, when it is no container.
 *
 * @throws StateValueError JSON can't hold it; `place` is its JSON Pointer.
 */
export function checkedScalar(value: unknown, place: () => string): Scalar {
  if (isSimple(value)) return stored(value);
  if (typeof value === "number") throw new StateValueError(place(), `JSON has no ${value}`);
  if (typeof value !== "string") throw new StateValueError(place(), `JSON can't hold ${named(value)}`);
  if (!value.isWellFormed()) {
    throw new StateValueError(place(), "a string with a lone surrogate, which UTF-8 can't hold");
  }
  if (bytesOf(value) > CHANGE_MAX_BYTES) throw new StateValueError(place(), TOO_LARGE);
  return value;
}

/** @throws StateValueError the key of a member of `place` is no string, or not valid Unicode. */
export function checkedKey(key: unknown, place: () => string): string {
  if (typeof key === "string" && key.isWellFormed()) return key;
  if (typeof key === "string") return checkedScalar(key, place) as string;
  throw new StateValueError(place(), `keys must be strings, got ${named(key)}`);
}

/** Whether `value` is more than `CHANGE_MAX_BYTES` of JSON; only written to find out when it may be. */
export function tooLarge(value: Json): boolean {
  return mostBytes(value) > CHANGE_MAX_BYTES && bytesOf(value) > CHANGE_MAX_BYTES;
}

function mostBytes(value: Json): number {
  if (typeof value === "string") return value.length * UNIT_MAX_BYTES + SCALAR_MAX_BYTES;
  if (typeof value !== "object" || value === null) return SCALAR_MAX_BYTES;
  let size = SCALAR_MAX_BYTES;
  if (Array.isArray(value)) for (const item of value) size += mostBytes(item);
  else for (const key in value) size += mostBytes(key) + mostBytes(value[key] as Json);
  return size;
}

/** How a message calls `value`, with what to do instead. */
function named(value: unknown): string {
  if (typeof value === "object" && value !== null) {
    const name = Object.getPrototypeOf(value)?.constructor?.name || "object";
    return `an object of class ${name}${HINTS[name] ?? ""}`;
  }
  if (typeof value === "function") return value.name ? `the function ${value.name}` : "a function";
  if (typeof value === "symbol") return `the symbol ${String(value)}`;
  if (typeof value === "bigint") return "a bigint: use a number or a string";
  return value === undefined ? "undefined: use null" : String(value);
}

const HINTS: Readonly<Record<string, string>> = {
  Date: ": use value.toISOString() or a timestamp",
  URL: ": use value.href",
  Error: ": use its message",
  Promise: ": await it",
  Buffer: ": decode it, or keep it as a file of the workspace",
  Uint8Array: ": decode it, or keep it as a file of the workspace",
};
