/** How long an ordinary request may take. */
export const REQUEST_MS = 30_000;

/** Creating an instance answers within 60 s; a little longer for the way. */
export const CREATE_MS = 65_000;

/** How long a file request may take. */
export const FILES_MS = 15_000;

/** How long the bytes of a file, or an upload, may take. */
export const TRANSFER_MS = 3_600_000;

/** How long a probe waits before an instance counts as not alive. */
export const PROBE_MS = 5_000;

/** How long a waited-for turn may take: the default limit of a turn and a little more. */
export const TURN_MS = 35 * 60_000;

/** A rewind answers within the gateway's limit; a little longer for the way. */
export const REWIND_MS = 305_000;

/** What every request takes beside its own parameters. */
export interface CallOptions {
  /** Ends the call early; it then rejects with the signal's reason. The request may have been done. */
  readonly signal?: AbortSignal | undefined;
}

/** One request. */
export interface Call {
  /** The method's name, for the error. */
  readonly operation: string;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path and query, escaped. */
  readonly path: string;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, instead of `json`. */
  readonly body?: Blob | Uint8Array<ArrayBuffer> | FormData | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** How long it may take, in milliseconds, each try for itself; `REQUEST_MS` unless given. */
  readonly limitMs?: number | undefined;
  readonly instanceId?: string | undefined;
  /** Whether sending it twice does no more than sending it once; yes unless said. */
  readonly repeatable?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Values of a query; what is undefined is left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** `/api/v1/…` with each part escaped. */
export function apiPath(parts: readonly string[], query: Query = {}): string {
  const path = `/api/v1/${parts.map(escapePart).join("/")}`;
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.append(name, String(value));
  const text = search.toString();
  return text === "" ? path : `${path}?${text}`;
}

/**
 * A workspace path as part of a URL: slashes stay, except where the rest would be read as a route of its own, or be
 * shortened on the way (`..`), so that the server sees what was asked for.
 */
export function filePath(path: string): string {
  const parts = path.split("/");
  const last = parts.at(-1) ?? "";
  const isRoute = last === "history" || (parts.at(-2) === "at" && /^[0-9]+$/.test(last));
  const isShortened = parts.includes("..") || parts.includes(".");
  const escaped = parts.map(encodeURIComponent);
  return isRoute || isShortened ? escaped.join("%2F") : escaped.join("/");
}

/** The members of `value` that are not undefined, for a body. */
export function given(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined));
}

/** A name for something that shall be done once however often it is asked for. */
export function uniqueId(): string {
  // crypto.randomUUID is missing where a page was not loaded over https; getRandomValues is everywhere.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function escapePart(part: string): string {
  return encodeURIComponent(part).replaceAll("%3A", ":").replaceAll("%40", "@");
}
