import { ceiling, type RetryPolicy } from "../resilience/retry.ts";
import { unlessAborted, type Timing } from "../resilience/timing.ts";
import { SHORT_LIFE_MS } from "../stream/reconnect.ts";
import { SessionError, type SessionErrorCode } from "./errors.ts";
import { Line, type Incoming, type OpenSocket } from "./line.ts";
import type { Identity } from "./wire/answers.ts";

/** Waits between tries to reach the server: 0 to 250 ms, doubling up to 15 s, for as long as the client is not closed. */
export const REACH: RetryPolicy = { first: 250, longest: 15_000, retries: Infinity };

/** Where the connection stands: `offline` between two tries, `closed` for good. */
export type Status = "connecting" | "online" | "offline" | "closed";

/** Says who we are; a function is asked for a fresh token before each connection. */
export type Token = string | (() => string | Promise<string>);

/** What a link tells its owner. */
export interface LinkEvents {
  /** The server has let us in. */
  onAdmitted(identity: Identity): void;
  /** A message of `chars` characters. */
  onMessage(message: Incoming, chars: number): void;
  /** The connection is lost, or could not be had; another one is tried. */
  onLost(error: SessionError): void;
  /** No other is tried. */
  onEnd(error: SessionError): void;
}

/** How long, in milliseconds, a fresh token may take. */
export const TOKEN_MS = 30_000;

const FINAL: ReadonlySet<SessionErrorCode> = new Set(["PROTOCOL_VERSION_MISMATCH", "UNAUTHENTICATED", "CLOSED", "FORBIDDEN"]);

/** Fresh tokens in a row that the server may refuse before we believe it. */
const REFUSALS_MAX = 2;

/** Keeps one connection to the server, over any number of sockets. */
export class Link {
  readonly #open: OpenSocket;
  readonly #timing: Timing;
  readonly #token: Token | undefined;
  readonly #owner: LinkEvents;
  readonly #closing = new AbortController();
  readonly #lines = new Set<Line>();
  #line: Line | undefined;
  #admittedAt = 0;
  #refusals = 0;
  #wake: () => void = () => undefined;

  constructor(open: OpenSocket, timing: Timing, token: Token | undefined, owner: LinkEvents) {
    this.#open = open;
    this.#timing = timing;
    this.#token = token;
    this.#owner = owner;
  }

  /** Begins; called once. */
  start(): void {
    void this.#run();
  }

  /** Sends a frame; false when there is no connection. */
  send(frame: string): boolean {
    this.#line?.send(frame);
    return this.#line !== undefined;
  }

  /** The network may be back: a try that waits for its time is made now. */
  wake(): void {
    this.#wake();
  }

  /** Drops the present socket, as if it was lost; another one follows. */
  replace(why: SessionError): void {
    this.#line?.drop(why);
  }

  /** Ends it: no timer and no socket is left when it settles. */
  async close(why: SessionError): Promise<void> {
    this.#closing.abort(why);
    this.#wake();
    for (const line of this.#lines) line.drop(why);
    await Promise.all([...this.#lines].map((line) => line.gone));
  }

  async #run(): Promise<void> {
    for (let failures = 0; ; ) {
      const error = await this.#live();
      const lived = this.#line === undefined ? 0 : this.#timing.now() - this.#admittedAt;
      this.#line = undefined;
      failures = lived < SHORT_LIFE_MS ? failures + 1 : 1;
      if (this.#isFinal(error)) {
        this.#owner.onEnd(error);
        return;
      }
      this.#owner.onLost(error);
      await this.#pause(Math.max(ceiling(REACH, failures) * this.#timing.chance(), error.retryAfterMs ?? 0));
    }
  }

  /** One connection from its first try to its end, with why it ended. */
  async #live(): Promise<SessionError> {
    try {
      const token = await this.#freshToken();
      this.#closing.signal.throwIfAborted();
      const line = new Line(this.#open, this.#timing, token, (message, chars) => {
        this.#owner.onMessage(message, chars);
      });
      this.#lines.add(line);
      void line.gone.then(() => this.#lines.delete(line));
      const identity = await line.admitted;
      this.#line = line;
      this.#admittedAt = this.#timing.now();
      this.#refusals = 0;
      this.#owner.onAdmitted(identity);
      return await line.ended;
    } catch (error) {
      if (error instanceof SessionError) return error;
      return new SessionError("connect", "UNREACHABLE", "no socket could be opened", { cause: error });
    }
  }

  async #freshToken(): Promise<string | undefined> {
    if (typeof this.#token !== "function") return this.#token;
    const limit = new AbortController();
    const cancelLimit = this.#timing.after(TOKEN_MS, () => limit.abort(new Error(`none within ${TOKEN_MS / 1000} s`)));
    try {
      const asked = Promise.resolve(this.#token());
      return await unlessAborted(unlessAborted(asked, limit.signal), this.#closing.signal);
    } catch (error) {
      if (error instanceof SessionError) throw error;
      throw new SessionError("connect", "UNREACHABLE", "no token could be had", { cause: error });
    } finally {
      cancelLimit();
    }
  }

  /** Whether there is no wish to try again, or no sense: a token stays refused, but one that is fetched may have been old. */
  #isFinal(error: SessionError): boolean {
    if (this.#closing.signal.aborted) return true;
    if (error.code !== "AUTH_FAILED") return FINAL.has(error.code);
    this.#refusals += 1;
    return typeof this.#token !== "function" || this.#refusals >= REFUSALS_MAX;
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closing.signal.aborted) {
        resolve();
        return;
      }
      const cancel = this.#timing.after(milliseconds, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
