import { ERRORS, type ErrorCode } from "./wire/errors.ts";
import type { FieldError, Problem } from "./wire/rest.ts";

export type { ErrorCode } from "./wire/errors.ts";

/** What is known of a failure. */
export interface ErrorFacts {
  /** Stable code; decides `retryable` unless that is given. */
  readonly code: ErrorCode;
  /** One sentence for a person. */
  readonly detail: string;
  readonly instanceId?: string | undefined;
  /** HTTP status of the answer, when there was one. */
  readonly status?: number | undefined;
  readonly retryable?: boolean | undefined;
  readonly cause?: unknown;
  readonly errors?: readonly FieldError[] | undefined;
  readonly logs?: readonly string[] | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly requestId?: string | undefined;
}

/** The one error of the client: a request or a stream failed. Decide by `code` and `retryable`. */
export class PodiumConnectionError extends Error {
  override readonly name = "PodiumConnectionError";
  /** What was tried, by the method's name (`createInstance`). */
  readonly operation: string;
  /** The instance it was about, if any. */
  readonly instanceId: string | undefined;
  /** HTTP status of the answer; undefined when there was none. */
  readonly status: number | undefined;
  /** Stable code; `unreachable` when no answer came. */
  readonly code: ErrorCode;
  /** One sentence for a person. */
  readonly detail: string;
  /** Whether the same call may succeed later unchanged. */
  readonly retryable: boolean;
  /** What is behind it, if anything. */
  override readonly cause: unknown;
  /** Broken fields of the request, for `invalid_request`. */
  readonly errors: readonly FieldError[];
  /** Last log lines of the agent, for `agent_start_failed`. */
  readonly logs: readonly string[];
  /** Milliseconds after which trying again makes sense, when the server said so. */
  readonly retryAfterMs: number | undefined;
  /** The server's name for the request, to look for in its logs. */
  readonly requestId: string | undefined;

  constructor(operation: string, facts: ErrorFacts) {
    super(`${operation}: ${facts.detail} (${facts.code})`);
    this.operation = operation;
    this.instanceId = facts.instanceId;
    this.status = facts.status;
    this.code = facts.code;
    this.detail = facts.detail;
    this.retryable = facts.retryable ?? ERRORS[facts.code].retryable;
    this.cause = facts.cause;
    this.errors = facts.errors ?? [];
    this.logs = facts.logs ?? [];
    this.retryAfterMs = facts.retryAfterMs;
    this.requestId = facts.requestId;
  }
}

/** `name` as an error code; undefined when it is none this client knows. */
export function errorCode(name: unknown): ErrorCode | undefined {
  return typeof name === "string" && Object.hasOwn(ERRORS, name) ? (name as ErrorCode) : undefined;
}

const OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_request",
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  405: "method_not_allowed",
  409: "instance_stopping",
  410: "resume_gone",
  413: "message_too_large",
  415: "unsupported_media_type",
  429: "rate_limited",
  502: "unreachable",
  503: "unreachable",
  504: "unreachable",
};

/** What an answer with an error status tells; one without a readable body is judged by its status (a proxy may have made it). */
export function factsOf(body: string, status: number, retryAfterMs?: number): ErrorFacts {
  const problem = problemIn(body);
  const code = errorCode(problem?.code);
  if (problem === undefined || code === undefined) {
    const known = OF_STATUS[status] ?? "internal";
    return { code: known, detail: `answered with status ${status}`, status, retryAfterMs };
  }
  return {
    code,
    detail: problem.detail,
    status,
    retryAfterMs,
    errors: problem.errors ?? undefined,
    logs: problem.logs ?? undefined,
    requestId: problem.request_id,
  };
}

function problemIn(body: string): Problem | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    const isProblem = typeof parsed === "object" && parsed !== null && "code" in parsed && "detail" in parsed;
    return isProblem ? (parsed as Problem) : undefined;
  } catch {
    return undefined;
  }
}

const OF_CLOSE: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  1009: ["message_too_large", "a frame was larger than the server takes"],
  4400: ["invalid_request", "the server refused three frames"],
  4401: ["unauthenticated", "the key is not valid, or was revoked"],
  4404: ["instance_not_found", "there is no such instance"],
  4409: ["instance_stopping", "the instance was stopped"],
  4410: ["resume_gone", "what was asked for is older than the journal keeps"],
  4429: ["rate_limited", "too many messages"],
};

/** What the end of a stream tells, by its close code (undefined: it broke without one) and reason. */
export function factsOfClose(code: number | undefined, reason = ""): ErrorFacts {
  const known = OF_CLOSE[code ?? 0];
  const lost = code === undefined ? "the connection was lost" : `the connection was lost (close code ${code})`;
  const [found, detail] = known ?? (["unreachable", lost] as const);
  const isSaid = reason === "" || reason === found;
  return { code: found, detail: isSaid ? detail : `${detail}: ${reason}` };
}
