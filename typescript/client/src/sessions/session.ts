import { uniqueId } from "../api/call.ts";
import { withResolvers } from "../stream/outbox.ts";
import { SessionError, type SessionErrorCode } from "./errors.ts";
import type { Incoming } from "./line.ts";
import { Listeners } from "./listeners.ts";
import type { Answers, Request, RequestOptions } from "./requests.ts";
import { Seat, type JoinOptions, type SessionPort } from "./seat.ts";
import type * as answers from "./wire/answers.ts";
import type { PermissionRequested, QuestionRequested, SessionEvent, TurnComplete, TurnError } from "./wire/events.ts";

/** How long, in milliseconds, a turn may take to be accepted: its agent may have to be started, which takes a minute at most. */
export const TURN_ACCEPTED_MS = 90_000;

/** How a turn is asked for. */
export interface TurnOptions extends RequestOptions {
  /** A name of your own: the same in the same session is done once, over any connection. A unique one is made unless given. */
  readonly clientTurnId?: string | undefined;
}

/** A turn the agent will take up: its message is durable. */
export interface AcceptedTurn {
  readonly turnId: string;
  readonly clientTurnId: string;
}

/** An answer to a question: by `question.id`, or a choice of a permission's options, or that there will be none. */
export type Answer =
  | { readonly answers: Readonly<Record<string, unknown>> }
  | { readonly optionId: string }
  | { readonly dismissed: true };

/**
 * One conversation of people with an agent. Made by `SessionClient`.
 *
 * Once joined it stays so over any number of connections: every event behind the starting point is delivered exactly once and
 * in order.
 */
export class Session {
  readonly id: string;
  readonly #port: SessionPort;
  readonly #seat: Seat;
  readonly #rewound = new Listeners<answers.StateSnapshot>();
  readonly #pending = new Map<string, QuestionRequested | PermissionRequested>();
  #info: answers.SessionInfo | undefined;

  /** Made by `SessionClient`. */
  constructor(id: string, port: SessionPort) {
    this.id = id;
    this.#port = port;
    this.#seat = new Seat(id, port);
  }

  /** The session as it was last told of; undefined before it was listed or joined. */
  get info(): answers.SessionInfo | undefined {
    return this.#info;
  }

  /** `inactive`, `activating`, `ready`, `running`, `waiting`, `deactivating` or `error`; undefined before it is known. */
  get state(): string | undefined {
    return this.#info?.state;
  }

  /** Questions and permissions nobody has answered yet, in the order in which they were asked; known once it is joined. */
  get pending(): readonly (QuestionRequested | PermissionRequested)[] {
    return [...this.#pending.values()];
  }

  /** Number of the newest event that came: `join({ afterSeq: lastSeq })` goes on right behind it, in this program or the next. */
  get lastSeq(): number | undefined {
    return this.#seat.feed.lastSeq;
  }

  /** Whether it is joined, or will be as soon as there is a connection. */
  get isJoined(): boolean {
    return this.#seat.isWanted;
  }

  /**
   * The events, for one reader, from the moment of `join` on; a loop that was left can be followed by another one. Throws a
   * `SessionError` when the session is no longer there for us; ends when the client is closed.
   */
  get events(): AsyncIterableIterator<SessionEvent, undefined> {
    return this.#seat.feed.events;
  }

  // ── what happens ───────────────────────────────────────────────────────────────────────────────────────────

  /** Begins to receive events; settles with the session as it is. Doing it again moves the starting point. */
  join(options: JoinOptions = {}): Promise<answers.StateSnapshot> {
    return this.#seat.join(options);
  }

  /** No more events, until it is joined again. */
  leave(): Promise<void> {
    return this.#seat.leave();
  }

  /**
   * Calls `listener` with every event, or with those of one type; what this returns ends that. Events that came before the
   * first listener have waited for it.
   */
  on(listener: (event: SessionEvent) => void): () => void;
  on<T extends SessionEvent["type"]>(type: T, listener: (event: Extract<SessionEvent, { type: T }>) => void): () => void;
  on(first: string | ((event: SessionEvent) => void), second?: (event: never) => void): () => void {
    if (typeof first === "function") return this.#seat.feed.on(first);
    return this.#seat.feed.on((event) => {
      if (event.type === first) (second as (event: SessionEvent) => void)(event);
    });
  }

  /**
   * Calls `listener` when somebody took the agent back to an earlier moment, with the conversation as it is now; what this returns
   * ends that. Events go on with the next number.
   */
  onRewound(listener: (snapshot: answers.StateSnapshot) => void): () => void {
    return this.#rewound.add(listener);
  }

  // ── turns ──────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Sends a message to the agent; settles when it is durable: whatever dies next, the turn will be done, once. An inactive
   * session is activated. What the agent says comes as events, to all who joined.
   *
   * @throws SessionError it was refused, or not accepted in time; with the same `clientTurnId` it can be sent again
   */
  async send(text: string, options: TurnOptions = {}): Promise<AcceptedTurn> {
    const clientTurnId = options.clientTurnId ?? `turn-${uniqueId()}`;
    const { timeoutMs = TURN_ACCEPTED_MS } = options;
    const ack = await this.#ask({ type: "run_turn", sessionId: this.id, text, clientTurnId }, { timeoutMs });
    return { turnId: ack.turnId ?? "", clientTurnId };
  }

  /**
   * Sends a message and waits for the end of its turn; the session must be joined. Events nobody takes are passed over meanwhile.
   *
   * @throws SessionError it was not accepted, the session is lost, or the turn failed: its `turn_error` is the `cause` then
   */
  async run(text: string, options: TurnOptions = {}): Promise<TurnComplete> {
    if (!this.isJoined) throw this.#error("INVALID_MESSAGE", "join the session first");
    const ends = new Map<string | null, TurnComplete | TurnError>();
    const { promise: ended, resolve, reject } = withResolvers<void>();
    ended.catch(() => undefined); // when it is not even accepted, that is what is told
    let turnId: string | undefined;
    const stopListening = this.on((event) => {
      if (event.type === "turn_complete" || event.type === "turn_error") ends.set(event.turnId, event);
      if (turnId !== undefined && ends.has(turnId)) resolve();
    });
    const stopWatching = this.#seat.lost.add(reject);
    try {
      ({ turnId } = await this.send(text, options));
      if (!ends.has(turnId)) await ended;
    } finally {
      stopListening();
      stopWatching();
    }
    const end = ends.get(turnId)!;
    if (end.type === "turn_complete") return end;
    throw this.#error("TURN_FAILED", `${end.message} (${end.code})`, end);
  }

  /** Ends the running turn. */
  async stop(options?: RequestOptions): Promise<void> {
    await this.#ask({ type: "stop_turn", sessionId: this.id }, options);
  }

  /** Tells the running turn something. */
  async steer(text: string, options?: RequestOptions): Promise<void> {
    await this.#ask({ type: "steer", sessionId: this.id, text }, options);
  }

  /** Answers a question or permission. One that was resolved by somebody else meanwhile is fine, if that is known in time. */
  async answer(requestId: string, answer: Answer, options?: RequestOptions): Promise<void> {
    await this.#ask({ type: "answer_question", sessionId: this.id, requestId, ...answer }, options);
  }

  // ── what was ───────────────────────────────────────────────────────────────────────────────────────────────

  /** The newest `limit` messages of the conversation before position `before` (all, unless given), oldest first. */
  history(page: { readonly before?: number; readonly limit?: number } = {}, options?: RequestOptions): Promise<answers.History> {
    return this.#ask({ type: "get_history", sessionId: this.id, ...page }, options);
  }

  /** The first `limit` events behind number `afterSeq`. */
  eventsAfter(afterSeq: number, limit?: number, options?: RequestOptions): Promise<answers.Events> {
    const most = limit === undefined ? {} : { limit };
    return this.#ask({ type: "get_events", sessionId: this.id, afterSeq, ...most }, options);
  }

  // ── files ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Entries of a directory of the workspace (its root unless given), `depth` levels deep. */
  async listFiles(path?: string, depth?: number, options?: RequestOptions): Promise<answers.FileList["files"]> {
    const where = { ...(path === undefined ? {} : { path }), ...(depth === undefined ? {} : { depth }) };
    return (await this.#ask({ type: "list_files", sessionId: this.id, ...where }, options)).files;
  }

  /** A file of the workspace. */
  readFile(path: string, options?: RequestOptions): Promise<answers.FileContent> {
    return this.#ask({ type: "read_file", sessionId: this.id, path }, options);
  }

  /** The recorded changes of a file. */
  async fileHistory(path: string, options?: RequestOptions): Promise<answers.FileVersions["versions"]> {
    return (await this.#ask({ type: "file_history", sessionId: this.id, path }, options)).versions;
  }

  /** A file as it was at an iteration of the workspace. */
  fileAtIteration(path: string, iteration: number, options?: RequestOptions): Promise<answers.FileContent> {
    return this.#ask({ type: "file_at_iteration", sessionId: this.id, path, iteration }, options);
  }

  // ── the session itself ─────────────────────────────────────────────────────────────────────────────────────

  /** Gives it another name. */
  async rename(name: string, options?: RequestOptions): Promise<void> {
    await this.#ask({ type: "rename_session", sessionId: this.id, name }, options);
  }

  /** Stops its instance and takes it out of the list. */
  async archive(options?: RequestOptions): Promise<void> {
    await this.#ask({ type: "archive_session", sessionId: this.id }, options);
  }

  /** Takes it back from the archive. */
  async unarchive(options?: RequestOptions): Promise<void> {
    await this.#ask({ type: "unarchive_session", sessionId: this.id }, options);
  }

  /** Stops its instance and removes it; one that is gone already is fine. */
  async delete(options?: RequestOptions): Promise<void> {
    try {
      await this.#ask({ type: "delete_session", sessionId: this.id }, options);
    } catch (error) {
      if (!(error instanceof SessionError) || error.code !== "SESSION_NOT_FOUND") throw error;
    }
  }

  // ── what its client tells it ───────────────────────────────────────────────────────────────────────────────

  /** What the server says of it outside of a join. */
  told(info: answers.SessionInfo): this {
    this.#info = info;
    return this;
  }

  /** The server has let us in: a session that is joined is joined again, where it was. */
  online(): void {
    this.#seat.attach();
  }

  /** The connection is lost. */
  offline(): void {
    this.#seat.offline();
  }

  /** Nothing will come any more. */
  end(error: SessionError): void {
    this.#seat.end(error);
  }

  /** A message about it, of `chars` characters. */
  take(message: Incoming, chars: number): void {
    if (isEvent(message)) {
      this.#seat.takeEvent(message, chars, (event) => this.#follow(event));
    } else if (message.type === "state_snapshot") {
      if (this.#seat.takeSnapshot(message)) this.#know(message);
      if (message.requestId === undefined) this.#rewound.tell(message);
    } else if (message.type === "session_updated") {
      this.told(message.session);
    } else if (message.type === "session_deleted") {
      const isOurDoing = message.requestId !== undefined;
      this.end(this.#error(isOurDoing ? "CLOSED" : "SESSION_NOT_FOUND", "the session was deleted"));
    }
  }

  #know(snapshot: answers.StateSnapshot): void {
    this.#info = snapshot.session;
    this.#pending.clear();
    for (const request of snapshot.pending) this.#pending.set(request.requestId, request);
  }

  /** What an event changes of what is known of the session. */
  #follow(event: SessionEvent): void {
    if (event.type === "question_requested" || event.type === "permission_requested") this.#pending.set(event.requestId, event);
    else if (event.type === "approval_resolved") this.#pending.delete(event.requestId);
    else if (event.type === "turn_complete" || event.type === "turn_error") this.#pending.clear();
    else if (event.type === "session_state" && event.state !== "terminated" && this.#info !== undefined) {
      this.#info = { ...this.#info, state: event.state };
    }
  }

  #ask<K extends keyof Answers>(message: Request<K>, options?: RequestOptions): Promise<Answers[K]> {
    return this.#port.requests().ask(message, options);
  }

  #error(code: SessionErrorCode, detail: string, cause?: unknown): SessionError {
    return new SessionError("session", code, detail, { sessionId: this.id, cause });
  }
}

/** Whether a message is an event of a session, also of a type this client does not know. */
export function isEvent(message: Incoming): message is SessionEvent {
  return "seq" in message && typeof message.seq === "number" && "sessionId" in message;
}
