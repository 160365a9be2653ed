/** What the agent sends: frames of one loop turn leave in one write, state changes once per loop turn, in their place. */

import type { Connection } from "./connection.ts";
import { AgentUsageError, LinkError } from "./errors.ts";
import { packed } from "./frames.ts";
import { byteLength, encode } from "./json.ts";
import { nextLoopTurn, unlessAborted } from "./waiting.ts";
import { FRAME_MAX_BYTES, LINK_FRAME_MAX_BYTES } from "./wire/limits.ts";
import type { FromAgent } from "./wire/link.ts";

/** Largest content of an event: with its envelope it must fit a frame of the stream. */
const CONTENT_MAX_BYTES = FRAME_MAX_BYTES - 4096;

/** The most bytes of UTF-8 one UTF-16 unit becomes: shorter texts need not be measured. */
const BYTES_PER_UNIT = 3;

/** With more than this queued in one loop turn, the next await reaches the loop. */
const TURN_BYTES = 64 * 1024;

/** Operations taken at once are cut into frames of about this size, half of what a frame may hold. */
const OPS_MAX_BYTES = 8 * 1024 * 1024;

/** Gives the operations recorded since it was last asked. */
export interface Journal {
  /** The operations, in order; they are then forgotten. */
  take(): readonly unknown[];
}

/** Frames on their way to the coordinator. */
export class Outbox {
  readonly #connection: Connection;
  #pending: (string | null)[] = [];
  #size = 0;
  #scheduled = false;
  #journal: Journal | null = null;
  #version = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The number of the state as of what was sent last. */
  get version(): number {
    return this.#version;
  }

  /** Sends what `journal` records from now on; `version` is that of the state as the coordinator has it. */
  follow(journal: Journal, version: number): void {
    this.#journal = journal;
    this.#version = version;
  }

  /** The state changed, for the first time since its operations were taken. */
  stateChanged(): void {
    // Its place in the order is here; what is recorded until the loop turn ends travels along.
    this.#pending.push(null);
    this.#schedule();
  }

  /** Queues a frame; it leaves at the end of the loop turn. */
  send(frame: FromAgent): void {
    this.#add(encode(frame, frame.type));
  }

  /**
   * Queues an event whose content is JSON.
   *
   * @throws AgentUsageError the content is longer than an event may be.
   */
  sendEvent(messageId: string, name: string, content: string): void {
    if (content.length > CONTENT_MAX_BYTES / BYTES_PER_UNIT && byteLength(content) > CONTENT_MAX_BYTES) {
      const bytes = byteLength(content);
      throw new AgentUsageError(`${name}: ${bytes} bytes of content; at most ${CONTENT_MAX_BYTES} are allowed`);
    }
    const id = JSON.stringify(messageId);
    this.#add(`{"type":"stream_update","message_id":${id},"element":{"type":"${name}","content":${content}}}`);
  }

  /**
   * Waits while the coordinator is more than `LINK_AHEAD_MAX_BYTES` behind.
   *
   * Code that says much without ever waiting for something else gives way to the loop here, every `TURN_BYTES`: what it
   * says is sent, and a cancel can reach it.
   */
  async room(signal: AbortSignal): Promise<void> {
    if (this.#size > TURN_BYTES) await nextLoopTurn();
    signal.throwIfAborted();
    if (this.#connection.behind) await unlessAborted(signal, this.#connection.room());
  }

  /** Sends what is queued now, in one write. */
  flush(): void {
    this.#scheduled = false;
    if (this.#pending.length === 0) return;
    const bodies: string[] = [];
    let bytes = this.#size;
    for (const part of this.#pending) {
      if (part !== null) {
        bodies.push(part);
        continue;
      }
      for (const frame of this.#stateFrames()) {
        bodies.push(frame);
        bytes += byteLength(frame);
      }
    }
    this.#pending = [];
    this.#size = 0;
    if (bodies.length > 0) this.#connection.write(packed(bodies, bytes));
  }

  #add(body: string): void {
    const bytes = byteLength(body);
    if (bytes > LINK_FRAME_MAX_BYTES) {
      throw new LinkError(`a frame of ${bytes} bytes; at most ${LINK_FRAME_MAX_BYTES} are allowed`);
    }
    this.#pending.push(body);
    this.#size += bytes;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.flush());
  }

  #stateFrames(): string[] {
    const ops = this.#journal?.take() ?? [];
    return opsPieces(ops).map((piece) => {
      this.#version += 1;
      return `{"type":"state_delta","deltas":[{"version":${this.#version},"ops":${piece}}]}`;
    });
  }
}

/** An event that is on its way. Awaiting it is optional, and waits while the coordinator is far behind. */
export class Sent implements PromiseLike<void> {
  readonly #room: () => Promise<void>;

  constructor(room: () => Promise<void>) {
    this.#room = room;
  }

  /** What `await` calls. */
  then<A = void, B = never>(
    fulfilled?: ((value: void) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#room().then(fulfilled, rejected);
  }
}

/** The JSON of operations, cut where it would be too long for a frame. */
function opsPieces(ops: readonly unknown[]): string[] {
  if (ops.length === 0) return [];
  const whole = encode(ops, "the state");
  if (whole.length <= OPS_MAX_BYTES && byteLength(whole) <= OPS_MAX_BYTES) return [whole];
  const found: string[] = [];
  let piece: string[] = [];
  let size = 0;
  for (const op of ops) {
    const text = encode(op, "the state");
    const bytes = byteLength(text);
    if (size > 0 && size + bytes > OPS_MAX_BYTES) {
      found.push(`[${piece.join(",")}]`);
      piece = [];
      size = 0;
    }
    piece.push(text);
    size += bytes;
  }
  found.push(`[${piece.join(",")}]`);
  return found;
}
