/** JSON values and operations, and how long they are when written. */

/** A value JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** One operation of JSON Patch (RFC 6902); `path` is a JSON Pointer, `value` is absent for `remove`. */
export interface Operation {
  op: "add" | "remove" | "replace";
  path: string;
  value?: Json;
}

/** More bytes of JSON than these in one change are refused: half of what a frame of the agent link may hold. */
export const CHANGE_MAX_BYTES = 8 * 1024 * 1024;

const OPERATION_BYTES = '{"op":"","path":}'.length;
const VALUE_BYTES = ',"value":'.length;

/** The length of `operations` as compact JSON in UTF-8. */
export function bytesOfOperations(operations: readonly Operation[]): number {
  let size = 1 + operations.length;
  for (const operation of operations) size += bytesOfOperation(operation);
  return size;
}

/** The length of one operation as compact JSON in UTF-8. */
export function bytesOfOperation(operation: Operation): number {
  const head = OPERATION_BYTES + operation.op.length + bytesOf(operation.path);
  return operation.value === undefined ? head : head + VALUE_BYTES + bytesOf(operation.value);
}

/**
 * The length of `value` as compact JSON in UTF-8, numbers as Python's SDK writes them: the shape of an operation depends
 * on it, and must be the same in both.
 */
export function bytesOf(value: Json): number {
  if (typeof value === "string") return Buffer.byteLength(JSON.stringify(value));
  if (typeof value === "number") return bytesOfNumber(value);
  if (value === null || value === true) return 4;
  if (value === false) return 5;
  let size = 0;
  if (Array.isArray(value)) {
    for (const item of value) size += bytesOf(item) + 1;
  } else {
    for (const key of Object.keys(value)) size += bytesOf(key) + bytesOf(value[key] as Json) + 2;
  }
  return Math.max(size + 1, 2);
}

/** Python changes to exponents below 1e-5 (JavaScript: 1e-6) and writes them without a plus sign. */
function bytesOfNumber(value: number): number {
  const text = Math.abs(value) < 1e-5 && value !== 0 ? value.toExponential() : String(value);
  return text.includes("e+") ? text.length - 1 : text.length;
}

/** The order of strings by code points, as Python has it; `<` compares halves of surrogate pairs. */
export function compareText(left: string, right: string): number {
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at++) {
    const one = left.charCodeAt(at);
    const two = right.charCodeAt(at);
    if (one !== two) return byCodePoint(one) - byCodePoint(two);
  }
  return left.length - right.length;
}

/** Surrogates stand for code points above all other units. */
function byCodePoint(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
