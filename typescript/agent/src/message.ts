/** One answer of the agent, as it streams. */

import { AgentUsageError } from "./errors.ts";
import { byteLength, endsInHalf, pieces } from "./json.ts";
import type { Speaker } from "./speaker.ts";
import type { StreamEnd } from "./wire/events.ts";

/** Why an answer ended. */
export type StopReason = StreamEnd["stop_reason"];

/** A longer token is sent as several events, in UTF-16 units: the longest JSON of a piece still fits one. */
export const PIECE_MAX_CHARS = 128 * 1024;

/** `stream_end` carries the whole text up to this much JSON; a longer text is cut there, its pieces were all sent. */
const TEXT_MAX_BYTES = 1000 * 1024;

/** What `ctx.sendMessage` returns. One `stream_start` and one `stream_end` are sent for it, whatever happens. */
export class MessageHandle {
  readonly #speaker: Speaker;
  readonly #ended: (handle: MessageHandle) => void;
  #parts: string[] = [];
  #half = "";
  #thinks = false;
  #over = false;

  /** Begins the answer. `ended` is called when it ends. */
  constructor(speaker: Speaker, begin: { message_id: string; attempt: number }, ended: (handle: MessageHandle) => void) {
    this.#speaker = speaker;
    this.#ended = ended;
    speaker.tell("stream_start", begin);
  }

  /** All of it so far. */
  get text(): string {
    return this.#parts.join("");
  }

  /** Whether `stream_end` was sent. */
  get ended(): boolean {
    return this.#over;
  }

  /**
   * Appends `text`; `final` ends the message.
   *
   * @throws AgentUsageError the message has ended.
   * @throws TurnCancelled the turn is to end.
   */
  async streamToken(text: string, options: { readonly final?: boolean } = {}): Promise<void> {
    this.#requireOpen();
    this.#append(text);
    if (options.final === true) this.finish("end_turn");
    await this.#speaker.room();
  }

  /**
   * Thoughts before or between the text; the next `streamToken` or the end closes them.
   *
   * @throws AgentUsageError the message has ended.
   * @throws TurnCancelled the turn is to end.
   */
  async thinking(text: string): Promise<void> {
    this.#requireOpen();
    if (!this.#thinks) {
      this.#thinks = true;
      this.#speaker.tell("thinking.start", {});
    }
    for (const piece of pieces(text, PIECE_MAX_CHARS)) this.#speaker.tell("thinking.progress", { text: piece });
    await this.#speaker.room();
  }

  /** Ends the message. Ending it again does nothing. */
  async end(stopReason: StopReason = "end_turn"): Promise<void> {
    this.finish(stopReason);
    await this.#speaker.roomEvenCancelled();
  }

  /** Ends the message at once; for the SDK, which ends what a turn left open. */
  finish(stopReason: StopReason): void {
    if (this.#over) return;
    if (this.#half !== "") this.#say(""); // half a pair, alone: it becomes U+FFFD
    this.#stopThinking();
    this.#over = true;
    this.#speaker.tell("stream_end", { text: fitting(this.text), stop_reason: stopReason });
    this.#ended(this);
  }

  #append(text: string): void {
    this.#stopThinking();
    if (text === "") return;
    const whole = this.#half + text;
    this.#half = endsInHalf(whole) ? whole.slice(-1) : ""; // its other half may be in the next token
    this.#sayAll(this.#half === "" ? whole : whole.slice(0, -1));
  }

  #sayAll(text: string): void {
    this.#stopThinking();
    for (const piece of pieces(text, PIECE_MAX_CHARS)) {
      this.#parts.push(piece);
      this.#speaker.tell("stream_update", { text: piece });
    }
  }

  #say(more: string): void {
    const text = this.#half + more;
    this.#half = "";
    this.#sayAll(text);
  }

  #stopThinking(): void {
    if (!this.#thinks) return;
    this.#thinks = false;
    this.#speaker.tell("thinking.complete", {});
  }

  #requireOpen(): void {
    this.#speaker.requireRunning();
    if (this.#over) throw new AgentUsageError("this message has ended; sendMessage begins another");
  }
}

/** `text`, cut at its end until its JSON has at most `TEXT_MAX_BYTES`. */
function fitting(text: string): string {
  let fits = text;
  for (let size = jsonBytes(fits); size > TEXT_MAX_BYTES; size = jsonBytes(fits)) {
    fits = fits.slice(0, Math.max(1, Math.floor((fits.length * TEXT_MAX_BYTES) / size) - 1));
    if (endsInHalf(fits)) fits = fits.slice(0, -1);
  }
  return fits;
}

function jsonBytes(text: string): number {
  return byteLength(JSON.stringify(text));
}
