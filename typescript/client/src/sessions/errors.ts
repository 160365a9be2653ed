import type { ProtocolCode } from "./wire/limits.ts";

/**
 * Why something failed: a code of the server, or one of the client's own.
 *
 * - `UNREACHABLE` there is no connection
 * - `TIMEOUT` no answer came in time; it may have been done
 * - `DISCONNECTED` the connection was lost before the answer, and doing it twice would do more than doing it once; it may have
 *   been done
 * - `TURN_FAILED` the turn that was waited for ended with `turn_error`, which is the `cause`
 * - `CLOSED` the client was closed, or the session left
 */
export type SessionErrorCode = ProtocolCode | "UNREACHABLE" | "TIMEOUT" | "DISCONNECTED" | "TURN_FAILED" | "CLOSED";

const RETRYABLE: ReadonlySet<SessionErrorCode> = new Set([
  "RATE_LIMITED",
  "AUTH_RATE_LIMITED",
  "PODIUM_UNAVAILABLE",
  "UNREACHABLE",
]);

/** What may be known of a failure beside its code and its sentence. */
export interface SessionErrorFacts {
  readonly sessionId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** The one error of the session client. Decide by `code`; `retryable` says whether the same call may succeed later. */
export class SessionError extends Error {
  override readonly name = "SessionError";
  /** What was tried, by its name in the protocol (`run_turn`), or `connect`. */
  readonly operation: string;
  readonly code: SessionErrorCode;
  /** One sentence for a person. */
  readonly detail: string;
  /** Whether the same call may succeed later unchanged, and was not done this time. */
  readonly retryable: boolean;
  /** The session it was about, if any. */
  readonly sessionId: string | undefined;
  /** Milliseconds after which trying again makes sense, when the server said so. */
  readonly retryAfterMs: number | undefined;

  constructor(operation: string, code: SessionErrorCode, detail: string, facts: SessionErrorFacts = {}) {
    super(`${operation}: ${detail} (${code})`, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.operation = operation;
    this.code = code;
    this.detail = detail;
    this.retryable = RETRYABLE.has(code);
    this.sessionId = facts.sessionId;
    this.retryAfterMs = facts.retryAfterMs;
  }
}
