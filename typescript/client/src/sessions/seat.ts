import { delayBefore } from "../resilience/retry.ts";
import type { Timing } from "../resilience/timing.ts";
import { withResolvers } from "../stream/outbox.ts";
import { SessionError, type SessionErrorCode } from "./errors.ts";
import { Feed } from "./feed.ts";
import { REACH } from "./link.ts";
import { Listeners } from "./listeners.ts";
import { ANSWER_MS, type RequestOptions, type Requests } from "./requests.ts";
import type { StateSnapshot } from "./wire/answers.ts";
import type { SessionEvent } from "./wire/events.ts";

/** Where to begin with the events of a session. */
export interface JoinOptions extends RequestOptions {
  /** Events behind this number; 0: all; not given: from now on. */
  readonly afterSeq?: number | undefined;
}

/** What a session needs of its client. */
export interface SessionPort {
  readonly timing: Timing;
  requests(): Requests;
  isOnline(): boolean;
  /** Gives the connection up for another one. */
  replaceConnection(why: SessionError): void;
}

const LATER: ReadonlySet<SessionErrorCode> = new Set(["TIMEOUT", "UNREACHABLE", "RATE_LIMITED", "PODIUM_UNAVAILABLE"]);

/** A place in a session: joined again on each connection where it was, left while nobody reads what comes. */
export class Seat {
  readonly feed = new Feed(() => this.attach());
  /** Told when it is lost: why. */
  readonly lost = new Listeners<SessionError>();
  readonly #sessionId: string;
  readonly #port: SessionPort;
  #isWanted = false;
  /** Name of the request that joined us on this connection. */
  #joinedBy: string | undefined;
  /** Whether the server has said where we are on this connection; events count from then on. */
  #isLive = false;
  #joining: ReturnType<typeof withResolvers<StateSnapshot>> | undefined;
  #failures = 0;
  #cancelRetry: () => void = () => undefined;

  constructor(sessionId: string, port: SessionPort) {
    this.#sessionId = sessionId;
    this.#port = port;
  }

  /** Whether the session is joined, or will be as soon as there is a connection. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** Joins; settles with the session as it is. Doing it again moves the starting point. */
  async join(options: JoinOptions): Promise<StateSnapshot> {
    this.feed.begin(options.afterSeq);
    this.#isWanted = true;
    this.#failures = 0;
    const joining = (this.#joining ??= withResolvers<StateSnapshot>());
    const limit = options.timeoutMs ?? ANSWER_MS;
    const cancelLimit = this.#port.timing.after(limit, () => {
      void this.#stopReceiving();
      this.end(this.#error("TIMEOUT", `not joined within ${limit / 1000} s`));
    });
    this.attach();
    try {
      return await joining.promise;
    } finally {
      cancelLimit();
    }
  }

  /** No more events, until it is joined again. */
  async leave(): Promise<void> {
    const left = this.#stopReceiving();
    this.#detach(this.#error("CLOSED", "the session was left"));
    await left;
  }

  /** Joins on this connection, if that is wanted and there is one. */
  attach(): void {
    this.#cancelRetry();
    if (!this.#isWanted || this.feed.isFull || !this.#port.isOnline()) return;
    const name = this.#port.requests().name();
    this.#joinedBy = name;
    this.#isLive = false;
    const { lastSeq } = this.feed;
    const from = lastSeq === undefined ? {} : { afterSeq: lastSeq };
    void this.#port
      .requests()
      .ask({ type: "join_session", sessionId: this.#sessionId, requestId: name, ...from }, { isUrgent: true })
      .catch((error: unknown) => this.#notJoined(name, error as SessionError));
  }

  /** The connection is lost. */
  offline(): void {
    this.#joinedBy = undefined;
    this.#isLive = false;
    this.#cancelRetry();
  }

  /** The session is no longer there for us. One that was never joined may be tried again. */
  end(error: SessionError): void {
    const wasJoined = this.#isWanted && this.#joining === undefined;
    this.#detach(error);
    if (wasJoined || error.code === "CLOSED") this.feed.end(error.code === "CLOSED" ? undefined : error);
  }

  /** Takes a snapshot; false when it answers a join that is over. */
  takeSnapshot(snapshot: StateSnapshot): boolean {
    // One without a name says that the agent was taken back to an earlier moment; its numbers go on.
    if (snapshot.requestId === undefined) return true;
    if (snapshot.requestId !== this.#joinedBy) return false;
    this.feed.begin(this.feed.lastSeq ?? snapshot.lastSeq);
    this.#isLive = true;
    this.#failures = 0;
    this.#joining?.resolve(snapshot);
    this.#joining = undefined;
    return true;
  }

  /** Takes an event. `know` hears of one that counts here (it is not known, nor of a connection before) before it is handed on. */
  takeEvent(event: SessionEvent, chars: number, know: (event: SessionEvent) => void): void {
    if (!this.#isLive) return;
    const verdict = this.feed.judge(event);
    if (verdict === "gap") this.#port.replaceConnection(this.#error("UNREACHABLE", "an event was missing"));
    if (verdict !== "taken") return;
    know(event);
    this.feed.hand(event, chars);
    // Nobody reads what comes: it is left to the server until there is room.
    if (this.feed.isFull) void this.#stopReceiving();
  }

  #notJoined(name: string, error: SessionError): void {
    if (name !== this.#joinedBy) return; // that was another connection
    if (this.#joining !== undefined || !LATER.has(error.code)) {
      this.end(error);
      return;
    }
    this.#failures += 1;
    const wait = delayBefore(REACH, this.#failures, this.#port.timing.chance()) ?? 0;
    this.#cancelRetry = this.#port.timing.after(Math.max(wait, error.retryAfterMs ?? 0), () => this.attach());
  }

  /** Tells the server, if it sends us anything. A connection that is lost meanwhile has left, too. */
  async #stopReceiving(): Promise<void> {
    const isReceiving = this.#joinedBy !== undefined && this.#port.isOnline();
    this.#joinedBy = undefined;
    this.#isLive = false;
    if (!isReceiving) return;
    await this.#port.requests().ask({ type: "leave_session", sessionId: this.#sessionId }).catch(() => undefined);
  }

  #detach(why: SessionError): void {
    this.#isWanted = false;
    this.offline();
    this.#joining?.reject(why);
    this.#joining = undefined;
    this.lost.tell(why);
  }

  #error(code: SessionErrorCode, detail: string): SessionError {
    return new SessionError("join_session", code, detail, { sessionId: this.#sessionId });
  }
}
