import { Heartbeat } from "../resilience/heartbeat.ts";
import type { Timing } from "../resilience/timing.ts";
import { withResolvers } from "../stream/outbox.ts";
import type { Closed, SocketEvents, StreamSocket } from "../stream/socket.ts";
import { SessionError, type SessionErrorCode } from "./errors.ts";
import type { ErrorMessage, Identity, ServerMessage } from "./wire/answers.ts";
import type { SessionEvent } from "./wire/events.ts";
import { PROTOCOL_VERSION } from "./wire/limits.ts";

/** How long, in milliseconds, it may take until the server has let us in, the way there included. */
export const ADMISSION_MS = 30_000;

/** Close code: no valid token in time, or it has ended. */
export const CLOSE_UNAUTHENTICATED = 4401;

/** Close code: we speak another version. */
export const CLOSE_VERSION = 4400;

/** Opens a socket to the server. */
export type OpenSocket = (events: SocketEvents) => StreamSocket;

/** What a server sends. */
export type Incoming = ServerMessage | SessionEvent;

const HEARTBEAT_ID = "heartbeat";

/** One socket from its first to its last moment: welcome, authentication, messages, heartbeat, end. */
export class Line {
  /** Who we are, as soon as the server has let us in; rejects with a `SessionError` when it does not. */
  readonly admitted: Promise<Identity>;
  /** How it ended, and why if the server said so. */
  readonly ended: Promise<SessionError>;
  /** Settles when its socket is closed, or two seconds after it was dropped. */
  readonly gone: Promise<void>;
  readonly #timing: Timing;
  readonly #token: string | undefined;
  readonly #onMessage: (message: Incoming, chars: number) => void;
  readonly #admission = withResolvers<Identity>();
  readonly #ending = withResolvers<SessionError>();
  readonly #going = withResolvers<void>();
  readonly #cancelLimit: () => void;
  readonly #socket: StreamSocket;
  #heartbeat: Heartbeat | undefined;
  #complaint: ErrorMessage | undefined;
  #isOver = false;

  /** @param onMessage - told of every message behind the admission, and how many characters it had */
  constructor(
    open: OpenSocket,
    timing: Timing,
    token: string | undefined,
    onMessage: (message: Incoming, chars: number) => void,
  ) {
    this.admitted = this.#admission.promise;
    this.ended = this.#ending.promise;
    this.gone = this.#going.promise;
    this.admitted.catch(() => undefined); // whoever waits for it hears of it
    this.#timing = timing;
    this.#token = token;
    this.#onMessage = onMessage;
    this.#cancelLimit = timing.after(ADMISSION_MS, () => {
      this.drop(failure("UNREACHABLE", `not let in within ${ADMISSION_MS / 1000} s`));
    });
    try {
      this.#socket = open({ onFrame: (frame) => this.#take(frame), onEnd: (end) => this.#over(end) });
    } catch (error) {
      this.#cancelLimit();
      throw error;
    }
  }

  /** Sends a frame. */
  send(frame: string): void {
    this.#socket.send(frame);
  }

  /** Ends it now, for this reason. */
  drop(why: SessionError): void {
    if (this.#isOver) return;
    void this.#socket.close().then(this.#going.resolve);
    this.#settle(why);
  }

  #take(frame: string): void {
    if (this.#isOver) return;
    const message = readMessage(frame);
    this.#heartbeat?.heard();
    // What is no message says nothing we could act on; the next one may.
    if (message === undefined) return;
    if (message.type === "error" && message.requestId === undefined) this.#complaint = message;
    if (this.#heartbeat === undefined) this.#greet(message);
    else if (message.type !== "pong" || message.requestId !== HEARTBEAT_ID) this.#onMessage(message, frame.length);
  }

  #greet(message: Incoming): void {
    if (message.type === "welcome") this.#welcomed(message.protocolVersion, message.requiresAuth);
    else if (message.type === "authenticated") this.#admit(message.identity);
    else if (message.type === "error") this.drop(refusal(message));
  }

  #welcomed(version: number, requiresAuth: boolean): void {
    if (version !== PROTOCOL_VERSION) {
      const detail = `the server speaks version ${version} of the protocol, not ${PROTOCOL_VERSION}`;
      this.drop(failure("PROTOCOL_VERSION_MISMATCH", detail));
    } else if (requiresAuth && this.#token === undefined) {
      this.drop(failure("UNAUTHENTICATED", "the server asks for a token and none is given"));
    } else if (requiresAuth) {
      this.send(JSON.stringify({ type: "authenticate", token: this.#token, protocolVersion: PROTOCOL_VERSION }));
    }
  }

  #admit(identity: Identity): void {
    this.#cancelLimit();
    this.#heartbeat = new Heartbeat(
      this.#timing,
      () => this.send(JSON.stringify({ type: "ping", requestId: HEARTBEAT_ID })),
      () => this.drop(failure("UNREACHABLE", "the server gave no sign of life")),
    );
    this.#admission.resolve(identity);
  }

  #over(end: Closed): void {
    if (this.#isOver) return;
    this.#going.resolve();
    this.#settle(this.#reason(end));
  }

  /** Why the socket closed, from its code and from the complaint before it. */
  #reason(end: Closed): SessionError {
    if (end.code === CLOSE_VERSION || end.code === CLOSE_UNAUTHENTICATED) {
      if (this.#complaint !== undefined) return refusal(this.#complaint);
      const code = end.code === CLOSE_VERSION ? "PROTOCOL_VERSION_MISMATCH" : "AUTH_FAILED";
      return failure(code, end.reason || "the server turned us away");
    }
    const lost = end.code === undefined ? "the connection was lost" : `the connection was lost (close code ${end.code})`;
    return failure("UNREACHABLE", end.reason === "" ? lost : `${lost}: ${end.reason}`);
  }

  #settle(why: SessionError): void {
    this.#isOver = true;
    this.#cancelLimit();
    this.#heartbeat?.stop();
    this.#admission.reject(why);
    this.#ending.resolve(why);
  }
}

/** Reads a frame; undefined when it is no message. */
export function readMessage(frame: string): Incoming | undefined {
  try {
    const parsed: unknown = JSON.parse(frame);
    const isMessage = typeof parsed === "object" && parsed !== null && "type" in parsed && typeof parsed.type === "string";
    return isMessage ? (parsed as Incoming) : undefined;
  } catch {
    return undefined;
  }
}

/** What an `error` of the server tells of `operation`. */
export function refusal(message: ErrorMessage, operation = "connect", sessionId?: string): SessionError {
  const { retryAfterMs } = message;
  return new SessionError(operation, message.code as SessionErrorCode, message.message, { retryAfterMs, sessionId });
}

function failure(code: SessionErrorCode, detail: string): SessionError {
  return new SessionError("connect", code, detail);
}
