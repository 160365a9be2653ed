import { uniqueId } from "../api/call.ts";
import { factsOfClose, PodiumConnectionError, type ErrorFacts } from "../errors.ts";
import { CALLS, withRetry } from "../resilience/retry.ts";
import { sleep, unlessAborted, type Timing } from "../resilience/timing.ts";
import { carried } from "../tracing.ts";
import type { Command, ProcessMessage } from "../wire/commands.ts";
import type { Ack, Connected } from "../wire/events.ts";
import { FRAME_MAX_BYTES } from "../wire/limits.ts";
import { Cursor } from "./cursor.ts";
import type { PodiumEvent } from "./event.ts";
import { Inbox } from "./inbox.ts";
import { Line } from "./line.ts";
import { Outbox } from "./outbox.ts";
import { afterClose, GIVE_UP_MS, SHORT_LIFE_MS, waitBefore, type Next } from "./reconnect.ts";
import type { Closed, Dial } from "./socket.ts";
import { Whistle } from "./whistle.ts";

/** How long, in milliseconds, a command waits for its acknowledgement, reconnects included. */
export const ACK_MS = 30_000;

/** Characters that may wait in a socket; a raw frame more is refused. */
export const SEND_MAX_CHARS = 8 * 1024 * 1024;

const ANSWERS: ReadonlySet<string> = new Set(["ack", "nack", "pong"]);
const FULL: Closed = { code: undefined, reason: "unread events are waiting" };

/** How a command is sent. */
export interface SendOptions {
  /** How long its acknowledgement may take, in milliseconds; 30 s unless given. */
  readonly timeoutMs?: number | undefined;
}

/** How a message is sent. */
export interface MessageOptions extends SendOptions {
  /** A name of your own: the same within 24 hours is done once, over any connection. A unique one is made unless given. */
  readonly id?: string | undefined;
  /** What happens while a turn runs; `queue` unless given. */
  readonly onBusy?: NonNullable<ProcessMessage["on_busy"]> | undefined;
}

/**
 * A stream to an instance that survives the loss of its socket. Made by `PodiumClient.connect`; `close` it.
 *
 * Every event after the starting point is delivered exactly once and in order, over any number of reconnects. A command
 * is sent again until it is acknowledged; its id makes that harmless.
 */
export class PodiumConnection {
  readonly instanceId: string;
  /** The events, for one reader. Ends when closed; throws a `PodiumConnectionError` when the stream can't go on. */
  readonly events: AsyncIterableIterator<PodiumEvent, undefined>;
  readonly #dial: Dial;
  readonly #timing: Timing;
  readonly #cursor: Cursor;
  readonly #inbox: Inbox<PodiumEvent>;
  readonly #outbox: Outbox;
  readonly #changed = new Whistle();
  readonly #closing = new AbortController();
  readonly #onEnd: () => void;
  /** Sockets that are not closed yet: one, and those that are being given up. */
  readonly #lines = new Set<Line>();
  /** The one that has been greeted, while it lives. */
  #line: Line | undefined;
  #info: Connected | undefined;
  #read: number;
  #reconnects = 0;
  /** Nobody reads: what comes is left to the server until there is room. */
  #isFull = false;
  #rawWaiting = 0;
  #ended: PodiumConnectionError | undefined;

  constructor(dial: Dial, timing: Timing, instanceId: string, after: number | undefined, onEnd: () => void = () => undefined) {
    this.instanceId = instanceId;
    this.#onEnd = onEnd;
    this.#dial = dial;
    this.#timing = timing;
    this.#cursor = new Cursor(after);
    this.#read = after ?? 0;
    this.#inbox = new Inbox((event) => this.#wasRead(event));
    this.#outbox = new Outbox(instanceId);
    this.events = this.#inbox;
  }

  /** Number of the newest event its reader was given: `connect(id, { after: lastSeq })` goes on right behind it. */
  get lastSeq(): number {
    return this.#read;
  }

  /** What the server said when the current socket was opened. */
  get info(): Connected | undefined {
    return this.#info;
  }

  /** How often the socket was replaced. */
  get reconnects(): number {
    return this.#reconnects;
  }

  /** Opens the first socket; called by `PodiumClient.connect`. */
  async open(signal?: AbortSignal): Promise<this> {
    try {
      const line = await unlessAborted(withRetry(CALLS, this.#timing, () => this.#open(), this.#closing.signal), signal);
      void this.#run(line);
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Sends a user message; settles when it is durable: whatever dies next, it will be processed. */
  sendMessage(content: string, metadata: Record<string, unknown> = {}, options: MessageOptions = {}): Promise<Ack> {
    const { id, onBusy } = options;
    const busy = onBusy === undefined ? {} : { on_busy: onBusy };
    return this.send({ type: "process_message", id: id ?? null, content: { ...metadata, text: content }, ...busy }, options);
  }

  /** Tells the running turn something. */
  steer(text: string, options?: SendOptions): Promise<Ack> {
    return this.send({ type: "steer", content: { text } }, options);
  }

  /** Ends the running turn. */
  cancel(options?: SendOptions): Promise<Ack> {
    return this.send({ type: "cancel" }, options);
  }

  /**
   * Sends a command and waits for its acknowledgement. A command without an id gets a unique one.
   *
   * @throws PodiumConnectionError it was refused (`nack`), is too large, the stream ended, or no answer came in time; in
   * the last case it may have been done
   */
  async send(command: Command, options: SendOptions = {}): Promise<Ack> {
    const id = command.id || `cmd-${uniqueId()}`;
    const frame = JSON.stringify({ ...carried(), ...command, id });
    this.#check(frame);
    const answer = this.#outbox.add(id, frame);
    this.#line?.send(frame);
    this.#changed.blow();
    const limit = options.timeoutMs ?? ACK_MS;
    const cancelLimit = this.#timing.after(limit, () => {
      this.#outbox.give(id, this.#error({ code: "unreachable", detail: `no acknowledgement within ${limit / 1000} s` }));
    });
    try {
      return await answer;
    } finally {
      cancelLimit();
      this.#dropIfUnwanted();
    }
  }

  /**
   * Sends a frame as it is, once. An answer to it comes as an event with `seq` 0.
   *
   * @throws PodiumConnectionError too large, the stream ended, or there is no connection within 30 s
   */
  async sendRaw(data: string): Promise<void> {
    this.#check(data);
    this.#rawWaiting += 1;
    try {
      this.#changed.blow();
      const line = this.#line ?? (await this.#nextLine());
      if (line.buffered > SEND_MAX_CHARS) {
        throw this.#error({ code: "quota_exceeded", detail: "the connection does not take frames this fast" });
      }
      line.send(data);
    } finally {
      this.#rawWaiting -= 1;
    }
  }

  /** Ends the stream: what was received can still be read, commands that wait fail, no timer and no socket is left. */
  async close(): Promise<void> {
    this.#end(this.#error({ code: "unreachable", detail: "the connection was closed", retryable: false }), true);
    for (const line of this.#lines) line.drop({ code: undefined, reason: "closed" });
    await Promise.all([...this.#lines].map((line) => line.gone));
  }

  // ── sockets come and go ────────────────────────────────────────────────────────────────────────────────────

  async #run(first: Line): Promise<void> {
    let line = first;
    let shortLives = 0;
    try {
      for (;;) {
        const began = this.#timing.now();
        const end = await line.ended;
        this.#line = undefined;
        const isShort = end !== FULL && this.#timing.now() - began < SHORT_LIFE_MS;
        shortLives = isShort ? shortLives + 1 : 0;
        await this.#untilWanted();
        line = await this.#reopen(end, Math.max(1, shortLives));
        this.#reconnects += 1;
      }
    } catch (error) {
      this.#end(error instanceof PodiumConnectionError ? error : this.#error({ code: "internal", detail: String(error), cause: error }));
    }
  }

  async #reopen(end: Closed, shortLives: number): Promise<Line> {
    const started = this.#timing.now();
    let following: Next = end === FULL ? "at_once" : afterClose(end.code);
    let error = this.#error(factsOfClose(end.code, end.reason), "connect");
    for (let attempt = shortLives; following !== "end" && this.#timing.now() - started < GIVE_UP_MS; attempt += 1) {
      await sleep(this.#timing, waitBefore(attempt, following, this.#timing.chance()), this.#closing.signal);
      try {
        return await this.#open();
      } catch (failure) {
        if (!(failure instanceof PodiumConnectionError) || !failure.retryable) throw failure;
        error = failure;
        following = "later";
      }
    }
    throw error;
  }

  /** A line whose server has greeted. */
  async #open(): Promise<Line> {
    this.#closing.signal.throwIfAborted();
    const after = this.#isFull ? undefined : this.#cursor.seq;
    const line = new Line(this.#dial, this.#timing, this.instanceId, after, {
      onGreeting: (greeting, info) => this.#greeted(greeting, info),
      onEvent: (from, event, chars) => this.#receive(from, event, chars),
    });
    line.forCommandsOnly = this.#isFull;
    this.#lines.add(line);
    void line.gone.then(() => this.#lines.delete(line));
    await line.greeted;
    return line;
  }

  #greeted(line: Line, info: Connected): void {
    this.#info = info;
    if (this.#cursor.seq === undefined) this.#read = info.last_seq;
    this.#cursor.begin(info.last_seq);
    if (line.forCommandsOnly && !this.#isFull) {
      // There is room again since it was dialled.
      line.drop(FULL);
      return;
    }
    this.#line = line;
    for (const frame of this.#outbox.frames) line.send(frame);
    this.#changed.blow();
  }

  #receive(line: Line, event: PodiumEvent, chars: number): void {
    if (ANSWERS.has(event.messageType) && this.#outbox.settle(event)) {
      this.#dropIfUnwanted();
      return;
    }
    if (line.forCommandsOnly && event.seq !== 0) return;
    const verdict = this.#cursor.take(event);
    if (verdict === "gap") line.drop({ code: undefined, reason: "an event was missing" });
    if (verdict !== "deliver") return;
    this.#inbox.put(event, chars);
    if (!this.#inbox.isFull || this.#isFull) return;
    this.#isFull = true;
    line.forCommandsOnly = true;
    this.#dropIfUnwanted();
  }

  #wasRead(event: PodiumEvent): void {
    this.#read = Math.max(this.#read, event.seq);
    if (!this.#isFull || !this.#inbox.hasRoom) return;
    this.#isFull = false;
    this.#changed.blow();
    if (this.#line?.forCommandsOnly) this.#line.drop(FULL);
  }

  /** Whether a socket is needed now: for events there is room for, or for what shall be sent. */
  get #isWanted(): boolean {
    return !this.#isFull || this.#outbox.size > 0 || this.#rawWaiting > 0;
  }

  #dropIfUnwanted(): void {
    if (!this.#isWanted) this.#line?.drop(FULL);
  }

  async #untilWanted(): Promise<void> {
    while (!this.#isWanted && this.#ended === undefined) await this.#changed.heard();
  }

  async #nextLine(): Promise<Line> {
    let isLate = false;
    const cancelLimit = this.#timing.after(ACK_MS, () => {
      isLate = true;
      this.#changed.blow();
    });
    try {
      for (;;) {
        if (this.#ended !== undefined) throw this.#ended;
        if (this.#line !== undefined) return this.#line;
        if (isLate) throw this.#error({ code: "unreachable", detail: "not connected" });
        await this.#changed.heard();
      }
    } finally {
      cancelLimit();
    }
  }

  // ── ends ───────────────────────────────────────────────────────────────────────────────────────────────────

  #end(error: PodiumConnectionError, isMeant = false): void {
    this.#ended ??= error;
    this.#line = undefined;
    this.#outbox.fail(error);
    this.#inbox.close(isMeant ? undefined : error);
    this.#closing.abort(error);
    this.#onEnd();
    this.#changed.blow();
  }

  #error(facts: ErrorFacts, operation = "send"): PodiumConnectionError {
    return new PodiumConnectionError(operation, { ...facts, instanceId: this.instanceId });
  }

  #check(frame: string): void {
    if (this.#ended !== undefined) throw this.#ended;
    if (frame.length * 3 > FRAME_MAX_BYTES && new TextEncoder().encode(frame).length > FRAME_MAX_BYTES) {
      throw this.#error({ code: "message_too_large", detail: `a frame holds at most ${FRAME_MAX_BYTES} bytes` });
    }
  }
}
