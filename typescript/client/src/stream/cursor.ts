import { kindOf, type PodiumEvent } from "./event.ts";

/**
 * What to do with an event: hand it on, leave it out (it came before, or its content was lost with a host: `event.lost`), or
 * resume because something before it is missing.
 */
export type Verdict = "deliver" | "skip" | "gap";

/**
 * Where a reader is in an agent's events. Delivers every numbered event once and in order.
 *
 * Open questions and permissions are an exception: the server sends them again whenever a connection begins, out of
 * order and with their old number, and whoever has not seen them should.
 */
export class Cursor {
  #seq: number | undefined;
  readonly #asked = new Set<string>();

  /** @param after - number of the last event that is known; undefined: begin with what happens from now on */
  constructor(after: number | undefined) {
    this.#seq = after;
  }

  /** Number of the newest event taken; undefined before the first connection of a reader without a position. */
  get seq(): number | undefined {
    return this.#seq;
  }

  /** A connection begins; without a position, reading starts after what has happened so far. */
  begin(lastSeq: number): void {
    this.#seq ??= lastSeq;
  }

  /** Judges the next frame. */
  take(event: PodiumEvent): Verdict {
    if (event.seq === 0 || this.#seq === undefined) return "deliver";
    const next = this.#seq + 1;
    if (event.seq !== next && isAsking(event)) return this.#firstTime(event);
    if (event.seq !== next) return event.seq < next ? "skip" : "gap";
    this.#seq = event.seq;
    if (event.messageType === "event.lost") return "skip";
    if (isAsking(event)) return this.#firstTime(event);
    if (kindOf(event) === "tool.approval_resolved") this.#asked.delete(requestOf(event));
    return "deliver";
  }

  #firstTime(event: PodiumEvent): Verdict {
    const request = requestOf(event);
    if (this.#asked.has(request)) return "skip";
    this.#asked.add(request);
    return "deliver";
  }
}

function isAsking(event: PodiumEvent): boolean {
  const kind = kindOf(event);
  return kind === "tool.question_requested" || kind === "tool.permission_requested";
}

function requestOf(event: PodiumEvent): string {
  return String(event.content?.["request_id"] ?? "");
}
