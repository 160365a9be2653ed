// Made by tools/generate_typescript.py from spec/schema and src/diminuendo/protocol; do not edit.

/** Told in `welcome`. */
export const PROTOCOL_VERSION = 1;

/** Largest message either side sends. */
export const MESSAGE_MAX_BYTES = 1_048_576;

/** Messages a connection may send … */
export const MESSAGES_MAX = 60;

/** … in this time. */
export const MESSAGES_WINDOW_MS = 10_000;

/** Most rows of a page. */
export const PAGE_MAX = 1_000;

/** The codes of `error`. */
export type ProtocolCode =
  | "INVALID_JSON"
  | "INVALID_MESSAGE"
  | "MESSAGE_TOO_LARGE"
  | "RATE_LIMITED"
  | "AUTH_FAILED"
  | "AUTH_RATE_LIMITED"
  | "UNAUTHENTICATED"
  | "FORBIDDEN"
  | "SESSION_NOT_FOUND"
  | "PROTOCOL_VERSION_MISMATCH"
  | "PODIUM_UNAVAILABLE";
