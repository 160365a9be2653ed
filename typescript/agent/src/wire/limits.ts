// Made by tools/generate_typescript.py from spec/schema and src/podium/wire; do not edit.

/** Largest WebSocket frame either side accepts; a larger one closes the connection with 1009. */
export const FRAME_MAX_BYTES = 1_048_576;

/** Largest frame on the Unix socket between coordinator and agent. */
export const LINK_FRAME_MAX_BYTES = 16_777_216;

/** How far an agent may be ahead of its coordinator before it waits in `await`. */
export const LINK_AHEAD_MAX_BYTES = 4_194_304;
