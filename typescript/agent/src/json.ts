/** Values as JSON that every reader takes. */

import { AgentUsageError, errorMessage } from "./errors.ts";

/** Escapes JSON.stringify writes for halves of a surrogate pair; other escapes are matched to be stepped over. */
const ESCAPES = /\\(u[dD][89a-fA-F][0-9a-fA-F]{2}|[^])/g;

/**
 * The JSON of `value`; halves of a surrogate pair, which no strict reader takes, become U+FFFD.
 *
 * @throws AgentUsageError JSON can't hold it.
 */
export function encode(value: unknown, what: string): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new AgentUsageError(`${what}: JSON can't hold it: ${errorMessage(error)}`, { cause: error });
  }
  if (text === undefined) throw new AgentUsageError(`${what}: JSON can't hold a value of type ${typeof value}`);
  if (!text.includes("\\ud")) return text;
  return text.replace(ESCAPES, (escape, code: string) => (code.length > 1 ? "\ufffd" : escape));
}

/** Length of `text` in UTF-8, in bytes. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

/** Pieces of `text` of at most `size` UTF-16 units; no pair of surrogates is cut. */
export function* pieces(text: string, size: number): Generator<string> {
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + size, text.length);
    if (end < text.length && endsInHalf(text.slice(at, end))) end -= 1;
    yield text.slice(at, end);
    at = end;
  }
}

/** Whether `text` ends with the first half of a surrogate pair. */
export function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}
