import type { Timing } from "../resilience/timing.ts";
import { withResolvers } from "../stream/outbox.ts";
import { SessionError, type SessionErrorCode } from "./errors.ts";
import { refusal, type Incoming } from "./line.ts";
import { Pace } from "./pace.ts";
import type * as answers from "./wire/answers.ts";
import type { ClientMessage } from "./wire/messages.ts";
import { MESSAGE_MAX_BYTES, MESSAGES_WINDOW_MS } from "./wire/limits.ts";

/** How long, in milliseconds, an answer may take, reconnects included. */
export const ANSWER_MS = 30_000;

/** Requests that may wait for their answer; one more is refused. */
export const REQUESTS_MAX = 1_000;

/** What each request is answered by. */
export interface Answers {
  list_sessions: answers.SessionList;
  create_session: answers.SessionCreated;
  rename_session: answers.SessionUpdated;
  archive_session: answers.SessionUpdated;
  unarchive_session: answers.SessionUpdated;
  delete_session: answers.SessionDeleted;
  join_session: answers.StateSnapshot;
  leave_session: answers.Ack;
  run_turn: answers.Ack;
  stop_turn: answers.Ack;
  steer: answers.Ack;
  answer_question: answers.Ack;
  get_history: answers.History;
  get_events: answers.Events;
  ping: answers.Pong;
  list_files: answers.FileList;
  read_file: answers.FileContent;
  file_history: answers.FileVersions;
  file_at_iteration: answers.FileContent;
  manage_members: answers.MemberList;
}

/** A message that is answered. */
export type Request<K extends keyof Answers> = Extract<ClientMessage, { readonly type: K }>;

/** Whether a request goes before those that wait. */
interface Urgency {
  readonly isUrgent?: boolean;
}

/** How a request is made. */
export interface RequestOptions {
  /** How long its answer may take, in milliseconds; 30 s unless said otherwise. */
  readonly timeoutMs?: number | undefined;
}

/** What is not sent a second time when a connection is lost before the answer, for twice would do more than once. */
const MEANT_ONCE = ["create_session", "stop_turn", "steer"] as const;

/** What is about one connection. A session is joined again by its seat, where it was. */
const OF_A_CONNECTION = ["join_session", "leave_session"] as const;

const ONCE: ReadonlySet<ClientMessage["type"]> = new Set([...MEANT_ONCE, ...OF_A_CONNECTION]);

interface Waiting {
  readonly message: ClientMessage;
  readonly frame: string;
  readonly answer: Promise<Incoming>;
  resolve(answer: Incoming): void;
  reject(error: SessionError): void;
  cancelLimit(): void;
  wasSent: boolean;
}

/** Requests and their answers, by `requestId`, over any number of connections. */
export class Requests {
  readonly #timing: Timing;
  readonly #send: (frame: string) => boolean;
  readonly #waiting = new Map<string, Waiting>();
  /** Names of those that are not sent yet, in their order. */
  #queue: string[] = [];
  #pace = new Pace();
  #isOnline = false;
  #cancelPump: (() => void) | undefined;
  #count = 0;
  #ended: SessionError | undefined;

  /** @param send - hands a frame to the connection; false when there is none */
  constructor(timing: Timing, send: (frame: string) => boolean) {
    this.#timing = timing;
    this.#send = send;
  }

  /** A name for a request. */
  name(): string {
    this.#count += 1;
    return `r${this.#count}`;
  }

  /**
   * Sends a message, now or as soon as there is a connection, and gives its answer.
   *
   * @throws SessionError it was refused, is too large, or no answer came; see its code
   */
  async ask<K extends keyof Answers>(
    message: Request<K>,
    options: RequestOptions & Urgency = {},
  ): Promise<Answers[K]> {
    const given: ClientMessage = message;
    const id = given.requestId ?? this.name();
    const waiting = this.#waiting.get(id) ?? this.#add(id, { ...given, requestId: id }, options);
    this.#pump();
    return (await waiting.answer) as Answers[K];
  }

  /** There is a connection: what waits is sent. */
  online(): void {
    this.#isOnline = true;
    this.#pace = new Pace();
    this.#pump();
  }

  /** The connection is lost: what may be sent again waits for the next one, the rest has failed. */
  offline(): void {
    this.#isOnline = false;
    this.#cancelPump?.();
    this.#cancelPump = undefined;
    this.#requeue((id) => this.#reject(id, "DISCONNECTED", "the connection was lost before the answer; it may have been done"));
  }

  /** Takes an answer; false when it answers nothing of ours. */
  settle(message: Incoming): boolean {
    const id = "requestId" in message ? message.requestId : undefined;
    const waiting = this.#waiting.get(id ?? "");
    if (message.type === "error" && wasUnread(message)) {
      this.#hold(waiting === undefined ? undefined : id, message.retryAfterMs ?? MESSAGES_WINDOW_MS);
      return true;
    }
    if (id === undefined || waiting === undefined) return false;
    this.#forget(id);
    if (message.type === "error") waiting.reject(refusal(message, waiting.message.type, about(waiting)));
    else waiting.resolve(message);
    return true;
  }

  /** A question has its answer, whoever gave it: ours need not arrive any more. */
  resolved(requestId: string): void {
    const waiting = this.#waiting.get(requestId);
    if (waiting?.message.type !== "answer_question") return;
    this.#forget(requestId);
    waiting.resolve({ type: "ack", requestId });
  }

  /** Nothing will be answered any more. */
  end(error: SessionError): void {
    this.#ended ??= error;
    this.#cancelPump?.();
    for (const id of [...this.#waiting.keys()]) this.#reject(id, error.code, error.detail);
  }

  #add(id: string, message: ClientMessage, options: RequestOptions & Urgency): Waiting {
    if (this.#ended !== undefined) throw new SessionError(message.type, this.#ended.code, this.#ended.detail);
    if (this.#waiting.size >= REQUESTS_MAX) {
      throw new SessionError(message.type, "RATE_LIMITED", `${REQUESTS_MAX} requests wait for their answer`);
    }
    const frame = JSON.stringify(message);
    if (frame.length * 3 > MESSAGE_MAX_BYTES && new TextEncoder().encode(frame).length > MESSAGE_MAX_BYTES) {
      throw new SessionError(message.type, "MESSAGE_TOO_LARGE", `a message has at most ${MESSAGE_MAX_BYTES} bytes`);
    }
    const { promise: answer, resolve, reject } = withResolvers<Incoming>();
    const limit = options.timeoutMs ?? ANSWER_MS;
    const cancelLimit = this.#timing.after(limit, () => {
      const [code, detail] = waiting.wasSent ? (["TIMEOUT", "no answer"] as const) : (["UNREACHABLE", "no connection"] as const);
      this.#reject(id, code, `${detail} within ${limit / 1000} s`);
    });
    const waiting: Waiting = { message, frame, answer, resolve, reject, cancelLimit, wasSent: false };
    this.#waiting.set(id, waiting);
    if (options.isUrgent) this.#queue.unshift(id);
    else this.#queue.push(id);
    return waiting;
  }

  /** Sends what waits, as fast as the server reads. */
  #pump(): void {
    while (this.#isOnline && this.#cancelPump === undefined) {
      const id = this.#queue[0];
      const waiting = this.#waiting.get(id ?? "");
      if (id === undefined) return;
      const pause = this.#pace.wait(this.#timing.now());
      if (pause > 0) {
        this.#cancelPump = this.#timing.after(pause, () => {
          this.#cancelPump = undefined;
          this.#pump();
        });
        return;
      }
      if (waiting !== undefined && !this.#send(waiting.frame)) return;
      this.#queue.shift();
      if (waiting === undefined) continue;
      waiting.wasSent = true;
      this.#pace.sent(this.#timing.now());
    }
  }

  /** The server reads nothing for a while. What it did not read is sent again; where it does not say which, all that may be. */
  #hold(unread: string | undefined, milliseconds: number): void {
    this.#pace.hold(this.#timing.now() + milliseconds);
    if (unread === undefined) this.#requeue(() => undefined);
    else this.#queue.unshift(unread);
    this.#pump();
  }

  /** Puts what was sent and may be sent again before what was not sent yet; `otherwise` is told of the rest. */
  #requeue(otherwise: (id: string) => void): void {
    const sent = [...this.#waiting].filter(([id, { wasSent }]) => wasSent && !this.#queue.includes(id));
    for (const [id, { message }] of sent) if (ONCE.has(message.type)) otherwise(id);
    this.#queue.unshift(...sent.filter(([, { message }]) => !ONCE.has(message.type)).map(([id]) => id));
  }

  #reject(id: string, code: SessionErrorCode, detail: string): void {
    const waiting = this.#waiting.get(id);
    this.#forget(id);
    waiting?.reject(new SessionError(waiting.message.type, code, detail, { sessionId: about(waiting) }));
  }

  #forget(id: string): void {
    this.#waiting.get(id)?.cancelLimit();
    this.#waiting.delete(id);
    this.#queue = this.#queue.filter((other) => other !== id);
  }
}

/** Whether the server did not even read a message, for too many came. (Too many of other things are an answer like any other.) */
function wasUnread(message: answers.ErrorMessage): boolean {
  return message.code === "RATE_LIMITED" && (message.retryAfterMs !== undefined || message.requestId === undefined);
}

function about(waiting: Waiting): string | undefined {
  return "sessionId" in waiting.message ? waiting.message.sessionId : undefined;
}
