import type { CallOptions } from "../api/call.ts";
import { systemTiming, unlessAborted, type Timing } from "../resilience/timing.ts";
import { NO_WEBSOCKET, webSocketClass, WebSocketStream, type WebSocketClass } from "../stream/socket.ts";
import { withResolvers } from "../stream/outbox.ts";
import { socketAddress } from "./address.ts";
import { SessionError } from "./errors.ts";
import type { Incoming } from "./line.ts";
import { Link, type LinkEvents, type Status, type Token } from "./link.ts";
import { Listeners } from "./listeners.ts";
import { Requests, type RequestOptions } from "./requests.ts";
import { isEvent, Session } from "./session.ts";
import { onReturn } from "./returning.ts";
import type { Identity, Member } from "./wire/answers.ts";
import type { ManageMembers } from "./wire/messages.ts";

/** What a client is made of. */
export interface SessionClientOptions {
  /** Where Diminuendo is: `http://127.0.0.1:8080` unless given. `http` and `ws` mean the same; without a path it is `/ws`. */
  readonly url?: string | undefined;
  /** An API key or JWT; a function is asked for a fresh one before each connection. Not needed where none is asked for. */
  readonly token?: Token | undefined;
  /** Opens the sockets; the runtime's `WebSocket` unless given. */
  readonly WebSocket?: WebSocketClass | undefined;
  /** Clock, timers and chance; a program's own tests need not wait. */
  readonly timing?: Timing | undefined;
}

/** What is told when the connection comes or goes. */
export interface StatusChange {
  readonly status: Status;
  /** Why it is gone, for `offline` and `closed`. */
  readonly error: SessionError | undefined;
}

/** Begins a session. */
export interface CreateSessionOptions extends RequestOptions {
  /** What people call it. */
  readonly name?: string | undefined;
  /** Goes along with every message to the agent. */
  readonly metadata?: Record<string, unknown> | undefined;
}

/**
 * Sessions with agents, over one connection that comes back by itself. Every failure is a `SessionError`.
 *
 * ```ts
 * const client = new SessionClient({ url: "https://agents.example", token: fetchToken });
 * const session = await client.createSession("coder");
 * session.on("text_delta", (event) => show(event.text));
 * await session.join();
 * await session.send("Fix the authentication bug in auth.ts");
 * ```
 */
export class SessionClient {
  readonly #requests: Requests;
  readonly #link: Link;
  readonly #timing: Timing;
  readonly #sessions = new Map<string, Session>();
  readonly #statuses = new Listeners<StatusChange>();
  #change: StatusChange = { status: "connecting", error: undefined };
  #identity: Identity | undefined;
  #hasBegun = false;
  #stopWatching: () => void = () => undefined;

  /** @throws TypeError the address is none of http, https, ws or wss, or this runtime has no WebSocket and none is given */
  constructor(options: SessionClientOptions = {}) {
    const { timing = systemTiming, token } = options;
    const url = socketAddress(options.url);
    const found = webSocketClass(options.WebSocket);
    if (found === undefined) throw new TypeError(NO_WEBSOCKET);
    this.#timing = timing;
    this.#link = new Link((events) => new WebSocketStream(new found(url), timing, events), timing, token, this.#linkEvents());
    this.#requests = new Requests(timing, (frame) => this.#link.send(frame));
  }

  /** Where the connection stands. */
  get status(): Status {
    return this.#change.status;
  }

  /** Who the server says we are; undefined before the first connection. */
  get identity(): Identity | undefined {
    return this.#identity;
  }

  /**
   * Waits for the connection, which any other call begins as well. It is tried until the client is closed: when `signal` ends
   * the wait, the tries go on.
   *
   * @throws SessionError the server turned us away for good, or the client was closed
   */
  async connect(options: CallOptions = {}): Promise<Identity> {
    this.#begin();
    const { promise, resolve, reject } = withResolvers<Identity>();
    const look = ({ status, error }: StatusChange): void => {
      if (status === "online" && this.#identity !== undefined) resolve(this.#identity);
      if (status === "closed") reject(error);
    };
    const stopListening = this.#statuses.add(look);
    look(this.#change);
    try {
      return await unlessAborted(promise, options.signal);
    } finally {
      stopListening();
    }
  }

  /** Calls `listener` when the connection comes or goes; what this returns ends that. */
  onStatus(listener: (change: StatusChange) => void): () => void {
    return this.#statuses.add(listener);
  }

  /** The tenant's sessions, the one changed last first. */
  async listSessions(options: RequestOptions & { readonly includeArchived?: boolean } = {}): Promise<Session[]> {
    const { includeArchived = false } = options;
    const { sessions } = await this.#asking.ask({ type: "list_sessions", includeArchived }, options);
    return sessions.map((info) => this.#known(info.sessionId).told(info));
  }

  /**
   * Begins a session with an agent of this type; nothing runs before its first turn. A connection that is lost before the answer
   * fails it, with code `DISCONNECTED`: there may be a session then.
   */
  async createSession(agentType: string, options: CreateSessionOptions = {}): Promise<Session> {
    const { name, metadata } = options;
    const wanted = { ...(name === undefined ? {} : { name }), ...(metadata === undefined ? {} : { metadata }) };
    const { session } = await this.#asking.ask({ type: "create_session", agentType, ...wanted }, options);
    return this.#known(session.sessionId).told(session);
  }

  /** The session with this id, of which nothing is known before it is joined. The same id gives the same object. */
  session(sessionId: string): Session {
    return this.#known(sessionId);
  }

  /** The members of the tenant. */
  members(options?: RequestOptions): Promise<Member[]> {
    return this.#manage({ type: "manage_members", action: "list" }, options);
  }

  /** Gives somebody a role: `owner`, `admin`, `member` or `viewer`. */
  setMember(userId: string, role: NonNullable<ManageMembers["role"]>, options?: RequestOptions): Promise<Member[]> {
    return this.#manage({ type: "manage_members", action: "set", userId, role }, options);
  }

  /** Takes somebody out of the tenant; its last owner stays. */
  removeMember(userId: string, options?: RequestOptions): Promise<Member[]> {
    return this.#manage({ type: "manage_members", action: "remove", userId }, options);
  }

  /** Milliseconds a message takes to the server and back. */
  async ping(options?: RequestOptions): Promise<number> {
    const began = this.#timing.now();
    await this.#asking.ask({ type: "ping" }, options);
    return this.#timing.now() - began;
  }

  /** Ends the connection: what waits for an answer fails, loops over events end. No timer and no socket is left when it settles. */
  async close(): Promise<void> {
    const error = new SessionError("connect", "CLOSED", "the client was closed");
    const closing = this.#link.close(error);
    this.#end(error);
    await closing;
  }

  // ── the connection ─────────────────────────────────────────────────────────────────────────────────────────

  #begin(): void {
    if (this.#hasBegun || this.#change.status === "closed") return;
    this.#hasBegun = true;
    this.#stopWatching = onReturn(() => this.#link.wake());
    this.#link.start();
  }

  /** The requests, over a connection that has begun. */
  get #asking(): Requests {
    this.#begin();
    return this.#requests;
  }

  #linkEvents(): LinkEvents {
    return {
      onAdmitted: (identity) => {
        this.#identity = identity;
        this.#change = { status: "online", error: undefined };
        for (const session of this.#sessions.values()) session.online();
        this.#requests.online();
        this.#statuses.tell(this.#change);
      },
      onMessage: (message, chars) => this.#take(message, chars),
      onLost: (error) => {
        this.#change = { status: "offline", error };
        for (const session of this.#sessions.values()) session.offline();
        this.#requests.offline();
        this.#statuses.tell(this.#change);
      },
      onEnd: (error) => this.#end(error),
    };
  }

  #take(message: Incoming, chars: number): void {
    const sessionId = sessionOf(message);
    if (sessionId !== undefined) this.#sessions.get(sessionId)?.take(message, chars);
    if (message.type === "approval_resolved") this.#requests.resolved(message.requestId);
    else if (!isEvent(message)) this.#requests.settle(message);
    if (message.type === "session_deleted") this.#sessions.delete(message.sessionId);
  }

  #end(error: SessionError): void {
    if (this.#change.status === "closed") return;
    this.#stopWatching();
    this.#change = { status: "closed", error };
    for (const session of this.#sessions.values()) session.end(error);
    this.#requests.end(error);
    this.#statuses.tell(this.#change);
  }

  #known(sessionId: string): Session {
    const known = this.#sessions.get(sessionId);
    if (known !== undefined) return known;
    const session = new Session(sessionId, {
      timing: this.#timing,
      requests: () => this.#asking,
      isOnline: () => this.status === "online",
      replaceConnection: (why) => this.#link.replace(why),
    });
    this.#sessions.set(sessionId, session);
    return session;
  }

  async #manage(message: ManageMembers, options?: RequestOptions): Promise<Member[]> {
    return (await this.#asking.ask(message, options)).members;
  }
}

/** The session a message is about, if any. */
function sessionOf(message: Incoming): string | undefined {
  if ("sessionId" in message) return message.sessionId;
  return "session" in message ? message.session.sessionId : undefined;
}
