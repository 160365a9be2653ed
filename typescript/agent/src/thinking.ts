/** Thoughts outside a message: `await using thoughts = ctx.thinking()`. */
/// <reference lib="esnext.disposable" preserve="true" />

import { pieces } from "./json.ts";
import { PIECE_MAX_CHARS } from "./message.ts";
import type { Speaker } from "./speaker.ts";

/** Sends `thinking.start` when it is made and `thinking.complete` when it is left, also by an exception. */
export class Thoughts implements AsyncDisposable {
  readonly #speaker: Speaker;
  #over = false;

  constructor(speaker: Speaker) {
    this.#speaker = speaker;
    speaker.tell("thinking.start", {});
  }

  /**
   * Appends to the thoughts.
   *
   * @throws TurnCancelled the turn is to end.
   */
  async write(text: string): Promise<void> {
    this.#speaker.requireRunning();
    for (const piece of pieces(text, PIECE_MAX_CHARS)) this.#speaker.tell("thinking.progress", { text: piece });
    await this.#speaker.room();
  }

  /** Ends them; again does nothing. `await using` calls it. */
  async end(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.#speaker.tell("thinking.complete", {});
    await this.#speaker.roomEvenCancelled();
  }

  /** Ends them. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}
