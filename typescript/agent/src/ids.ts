/** Identities, as `docs/internals/agent-link.md` writes them. */

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** Random bytes behind an id: 80 bits, written as 16 base-32 characters. */
export const ENTROPY_BYTES = 10;

/** Prefixes in use. */
export type IdKind = "agt" | "call" | "inst" | "msg" | "req" | "term" | "turn";

/** An id made from the first `ENTROPY_BYTES` of `entropy`: prefix, dash, 16 characters of `a-z2-7`. */
export function makeId(kind: IdKind, entropy: Uint8Array): string {
  let bits = 0n;
  for (const byte of entropy.subarray(0, ENTROPY_BYTES)) bits = (bits << 8n) | BigInt(byte);
  let text = "";
  for (let left = (ENTROPY_BYTES * 8) / 5; left > 0; left -= 1) {
    text = (ALPHABET[Number(bits & 31n)] ?? "") + text;
    bits >>= 5n;
  }
  return `${kind}-${text}`;
}

/** An id of its own. */
export function newId(kind: IdKind): string {
  return makeId(kind, crypto.getRandomValues(new Uint8Array(ENTROPY_BYTES)));
}
