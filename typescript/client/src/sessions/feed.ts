import { Inbox, INBOX_MAX_EVENTS } from "../stream/inbox.ts";
import { Listeners } from "./listeners.ts";
import type { SessionEvent } from "./wire/events.ts";

/** What an event is: the next one, known already, or one behind something that is missing. */
export type Verdict = "taken" | "known" | "gap";

/**
 * The events of a session on their way to whoever takes them, each once and in order.
 *
 * They wait for the first who does: a listener, or the reader of `events`. From then on listeners are told at once, and the
 * reader gets his own copy.
 */
export class Feed {
  readonly #onRoom: () => void;
  readonly #listeners = new Listeners<SessionEvent>();
  #waiting: { readonly event: SessionEvent; readonly chars: number }[] = [];
  #inbox: Inbox<SessionEvent> | undefined;
  #end: { readonly error: unknown } | undefined;
  #lastSeq: number | undefined;
  #isFull = false;

  /** @param onRoom - told when a feed that was full has room again */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom;
  }

  /** Number of the newest event; undefined before the first position is known. */
  get lastSeq(): number | undefined {
    return this.#lastSeq;
  }

  /** Whether no more should come now. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** The events, for one reader. */
  get events(): AsyncIterableIterator<SessionEvent, undefined> {
    if (this.#inbox === undefined) {
      const inbox = new Inbox<SessionEvent>(() => this.#wasRead());
      for (const { event, chars } of this.#waiting.splice(0)) inbox.put(event, chars);
      if (this.#end !== undefined) inbox.close(this.#end.error);
      this.#inbox = inbox;
    }
    return this.#inbox;
  }

  /** The next event expected is the one behind this number; undefined: it is not known yet. */
  begin(after: number | undefined): void {
    this.#lastSeq = after;
  }

  /** What an event is; one that is the next is taken, and is to be handed on. */
  judge(event: SessionEvent): Verdict {
    const expected = (this.#lastSeq ?? event.seq - 1) + 1;
    if (event.seq !== expected) return event.seq < expected ? "known" : "gap";
    this.#lastSeq = event.seq;
    return "taken";
  }

  /** Hands an event on; `chars`: how long its frame was. */
  hand(event: SessionEvent, chars: number): void {
    const isHeld = this.#inbox === undefined && (this.#listeners.size === 0 || this.#waiting.length > 0);
    if (isHeld) this.#waiting.push({ event, chars });
    else this.#listeners.tell(event);
    this.#inbox?.put(event, chars);
    this.#isFull ||= this.#inbox?.isFull ?? this.#waiting.length >= INBOX_MAX_EVENTS;
  }

  /** Adds a listener; what this returns takes it out again. The first is told what waited, once this turn of the program is over. */
  on(listener: (event: SessionEvent) => void): () => void {
    if (this.#waiting.length > 0) queueMicrotask(() => this.#release());
    return this.#listeners.add(listener);
  }

  /** Nothing will come any more: the reader gets what is left, then the end, or `error`. The first call counts. */
  end(error?: unknown): void {
    this.#end ??= { error };
    this.#inbox?.close(this.#end.error);
  }

  #release(): void {
    while (this.#listeners.size > 0 && this.#inbox === undefined) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#listeners.tell(next.event);
    }
    if (this.#isFull && this.#waiting.length === 0) this.#hasRoom();
  }

  #wasRead(): void {
    if (this.#isFull && this.#inbox?.hasRoom) this.#hasRoom();
  }

  #hasRoom(): void {
    this.#isFull = false;
    this.#onRoom();
  }
}
