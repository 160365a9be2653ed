/** One turn: what was asked, what reaches it while it runs, what it left open. */

import { TurnCancelled } from "./errors.ts";
import { encode } from "./json.ts";
import { makeId } from "./ids.ts";
import { deferred } from "./waiting.ts";
import type { Message } from "./wire/link.ts";

/** What the user sent: the text, what was attached, and whatever metadata came with it. */
export interface AgentInput {
  /** The text; empty when there is none. */
  readonly text: string;
  /** Who speaks: `user` as a rule. */
  readonly role: string;
  /** What was attached; empty when nothing was. */
  readonly attachments: readonly unknown[];
  /** Metadata the client sent along. */
  readonly [metadata: string]: unknown;
}

/** Where a message came from. */
export interface Origin {
  readonly tenantId: string;
  readonly role: string;
  readonly channel: string;
}

/** What the SDK must tell a tool call that has begun and whose arguments were not sent yet. */
export interface UnsettledCall {
  /** Whether its arguments are not known yet, so that something else being said does not settle it. */
  readonly waitsForArguments: boolean;
  /** Sends the whole arguments, once. */
  settle(): void;
}

/** The turn of one user message. */
export class Turn {
  /** `turn-…`. */
  readonly id: string;
  /** 1, or higher when the turn is run again after a crash. */
  readonly attempt: number;
  /** The id of the user message. */
  readonly messageId: string;
  /** Where the message came from. */
  readonly origin: Origin;
  /** The W3C trace context of the turn: what is done in it belongs below; empty when it has none. */
  readonly traceparent: string;
  readonly #progress = new TurnProgress();
  readonly #asked = new Map<string, number>();

  constructor(frame: Message) {
    this.id = frame.turn_id;
    this.attempt = frame.attempt;
    this.messageId = frame.id;
    const { tenant_id: tenantId, role = "user", channel = "stream" } = frame.origin;
    this.origin = { tenantId, role, channel };
    this.traceparent = frame.traceparent ?? "";
  }

  /** How far the turn is; for the SDK. */
  get progress(): TurnProgress {
    return this.#progress;
  }

  /**
   * The id of a question or permission: the same when the turn is run again and asks the same again.
   *
   * It is made of the turn, what is asked, and how many times the turn asked exactly this before. The coordinator
   * recognises it, and answers at once when the answer came while the process was away. What is asked is part of it, so
   * that leave for one thing is never taken for leave for another.
   */
  requestId(asked: unknown): string {
    const fingerprint = new Bun.CryptoHasher("sha256").update(encode(asked, "what is asked")).digest("hex");
    const ordinal = (this.#asked.get(fingerprint) ?? -1) + 1;
    this.#asked.set(fingerprint, ordinal);
    return makeId("req", new Bun.CryptoHasher("sha256").update(`${this.id}\0${fingerprint}\0${ordinal}`).digest());
  }
}

/** What happens to a turn while it runs. */
export class TurnProgress {
  readonly #cancel = new AbortController();
  readonly #ended = deferred<void>();
  #steered = deferred<void>();
  #over = false;
  /** Steers nobody has taken yet. */
  readonly steers: string[] = [];
  /** Tool calls whose arguments were not sent yet. */
  readonly unsettled: UnsettledCall[] = [];

  /** Aborted when the turn is to end. */
  get signal(): AbortSignal {
    return this.#cancel.signal;
  }

  /** Whether the turn has ended. */
  get over(): boolean {
    return this.#over;
  }

  /** The turn is to end. */
  cancel(): void {
    this.#cancel.abort(new TurnCancelled());
  }

  /** The turn has ended: nobody waits for its steers any more. */
  end(): void {
    this.#over = true;
    this.#steered.resolve();
    this.#ended.resolve();
  }

  /** Text for the running turn arrived. */
  steer(text: string): void {
    this.steers.push(text);
    this.#steered.resolve();
  }

  /** Resolves when a steer arrives, or the turn ends. */
  async steered(): Promise<void> {
    if (this.steers.length > 0 || this.#over) return;
    this.#steered = deferred();
    await Promise.race([this.#steered.promise, this.#ended.promise]);
  }
}

/** What a `message` frame says to an author. */
export function inputOf(frame: Message): AgentInput {
  const { text, role, attachments, ...metadata } = frame.data;
  return {
    ...metadata,
    text: text === undefined || text === null ? "" : String(text),
    role: typeof role === "string" ? role : "user",
    attachments: Array.isArray(attachments) ? attachments : [],
  };
}
