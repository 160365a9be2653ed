// Made by tools/generate_typescript.py from spec/schema and src/podium/wire; do not edit.

/** Largest WebSocket frame either side accepts; a larger one closes the connection with 1009. */
export const FRAME_MAX_BYTES = 1_048_576;

/** How often a server pings a WebSocket peer. */
export const PING_INTERVAL_SECONDS = 20;

/** A peer that sent nothing, not even a pong, for this long is gone. */
export const PEER_SILENT_SECONDS = 60;

/** Longest accepted `Idempotency-Key`. */
export const IDEMPOTENCY_KEY_MAX_CHARS = 255;

/** Items of a list answer when `limit` is not given. */
export const PAGE_DEFAULT = 100;

/** Most items a list answer ever holds. */
export const PAGE_MAX = 1_000;

/** Largest accepted bundle as uploaded (compressed). */
export const BUNDLE_MAX_BYTES = 1_073_741_824;

/** Largest JSON body of a REST request; a larger one is answered with 413. */
export const REQUEST_BODY_MAX_BYTES = 1_048_576;
