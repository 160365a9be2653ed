import { errorCode, PodiumConnectionError } from "../errors.ts";
import { ERRORS } from "../wire/errors.ts";
import type { Ack } from "../wire/events.ts";
import type { PodiumEvent } from "./event.ts";

/** Commands that may wait for their acknowledgement; one more is refused. */
export const OUTBOX_MAX_COMMANDS = 1_000;

/** Answered commands whose answer is known when it comes again: a gateway that lost its way to the agent sends a command twice. */
export const ANSWERED_MAX = 1_000;

interface Waiting {
  readonly frame: string;
  readonly answer: Promise<Ack>;
  resolve(ack: Ack): void;
  reject(error: PodiumConnectionError): void;
}

/** Commands by id, in the order they were given. What is not settled is sent again on a new connection. */
export class Outbox {
  readonly #instanceId: string;
  readonly #waiting = new Map<string, Waiting>();
  readonly #answered = new Set<string>();

  constructor(instanceId: string) {
    this.#instanceId = instanceId;
  }

  /** Commands that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** What to send on a new connection. */
  get frames(): readonly string[] {
    return [...this.#waiting.values()].map((waiting) => waiting.frame);
  }

  /**
   * Keeps a command; gives its acknowledgement. The same id again shares the first one's.
   *
   * @throws PodiumConnectionError `quota_exceeded`, too many wait already
   */
  add(id: string, frame: string): Promise<Ack> {
    const known = this.#waiting.get(id);
    if (known !== undefined) return known.answer;
    if (this.#waiting.size >= OUTBOX_MAX_COMMANDS) {
      throw this.#error({ code: "quota_exceeded", detail: `${OUTBOX_MAX_COMMANDS} commands wait for an acknowledgement` });
    }
    this.#answered.delete(id);
    const { promise: answer, resolve, reject } = withResolvers<Ack>();
    this.#waiting.set(id, { frame, answer, resolve, reject });
    return answer;
  }

  /** Takes an `ack`, `nack` or `pong`; false when it answers nothing of ours. An answer that comes again is passed over. */
  settle(event: PodiumEvent): boolean {
    const content = event.content ?? {};
    const id = typeof content["id"] === "string" ? content["id"] : "";
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return this.#answered.has(id);
    this.#forget(id);
    if (event.messageType === "nack") waiting.reject(this.#refused(content));
    else waiting.resolve(content);
    return true;
  }

  /** Ends one that waits with `error`. */
  give(id: string, error: PodiumConnectionError): void {
    this.#waiting.get(id)?.reject(error);
    this.#forget(id);
  }

  /** Ends all that wait with `error`. */
  fail(error: PodiumConnectionError): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }

  #forget(id: string): void {
    if (!this.#waiting.delete(id)) return;
    this.#answered.add(id);
    const [oldest] = this.#answered;
    if (this.#answered.size > ANSWERED_MAX && oldest !== undefined) this.#answered.delete(oldest);
  }

  #refused(content: Record<string, unknown>): PodiumConnectionError {
    const code = errorCode(content["code"]) ?? "internal";
    const detail = String(content["message"] || content["code"] || "refused");
    return this.#error({ code, detail, status: ERRORS[code].status });
  }

  #error(facts: { code: keyof typeof ERRORS; detail: string; status?: number }): PodiumConnectionError {
    return new PodiumConnectionError("send", { ...facts, instanceId: this.#instanceId });
  }
}

/** A promise with its two ends (`Promise.withResolvers` came with Node 22). */
export function withResolvers<T>(): {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((good, bad) => {
    resolve = good;
    reject = bad;
  });
  return { promise, resolve, reject };
}
