import { factsOf, PodiumConnectionError } from "../errors.ts";
import { linked, type Linked } from "../resilience/linked.ts";
import { CALLS, NEVER, withRetry } from "../resilience/retry.ts";
import { unlessAborted, type Timing } from "../resilience/timing.ts";
import { headersOf, type Settings } from "../settings.ts";
import { carried } from "../tracing.ts";
import { REQUEST_MS, type Call } from "./call.ts";

/** A streamed answer on which nothing came for this long (milliseconds) is lost; servers send a comment every 20 s. */
export const SILENT_MS = 75_000;

/** What sends a request: `fetch`, or something that behaves like it. */
export type Fetch = (url: string, request: RequestInit) => Promise<Response>;

/** Sends calls: the one place where requests leave and failures become `PodiumConnectionError`. */
export class Transport {
  readonly settings: Settings;
  readonly timing: Timing;
  readonly #fetch: Fetch;
  readonly #closing = new AbortController();

  constructor(settings: Settings, timing: Timing, fetch: Fetch) {
    this.settings = settings;
    this.timing = timing;
    this.#fetch = fetch;
  }

  /** The JSON a call is answered with, retried where that is safe; undefined when the answer is empty. */
  async json<T>(call: Call): Promise<T> {
    const text = await this.#repeated(call, (response) => response.text());
    if (text === "") return undefined as T;
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      const detail = "the answer can't be read";
      throw new PodiumConnectionError(call.operation, { code: "internal", detail, instanceId: call.instanceId, cause });
    }
  }

  /** The text a call is answered with. */
  text(call: Call): Promise<string> {
    return this.#repeated(call, (response) => response.text());
  }

  /** The bytes a call is answered with, whole. */
  async bytes(call: Call): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await this.#repeated(call, (response) => response.arrayBuffer()));
  }

  /** The bytes of an answer as they come; cancel the stream to end it early. Once it has begun, only silence ends it. */
  async stream(call: Call): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const outer = linked([this.#closing.signal, call.signal]);
    const lost = (detail: string, cause?: unknown): Error => this.#unreachable(call, detail, cause);
    try {
      const body = await this.#try(call, outer.signal, async (response) => response.body ?? new Blob().stream());
      return watched(body, this.timing, outer, lost);
    } catch (error) {
      outer.unlink();
      throw error;
    }
  }

  /** One try, without reading the answer's body. */
  async probe(call: Call): Promise<void> {
    await this.#try(call, this.#closing.signal, async (response) => {
      await response.body?.cancel();
    });
  }

  /** Throws what later calls fail with once the client was closed. */
  throwIfClosed(): void {
    this.#closing.signal.throwIfAborted();
  }

  /** Ends every request that is under way; later ones fail at once. */
  close(): void {
    this.#closing.abort(new PodiumConnectionError("close", { code: "unreachable", detail: "the client was closed", retryable: false }));
  }

  async #repeated<T>(call: Call, read: (response: Response) => Promise<T>): Promise<T> {
    const policy = call.repeatable === false ? NEVER : CALLS;
    const outer = linked([this.#closing.signal, call.signal]);
    try {
      return await withRetry(policy, this.timing, () => this.#try(call, outer.signal, read), outer.signal);
    } finally {
      outer.unlink();
    }
  }

  /** One try: headers and body within the call's limit, unless `outer` is aborted. */
  async #try<T>(call: Call, outer: AbortSignal, read: (response: Response) => Promise<T>): Promise<T> {
    outer.throwIfAborted();
    const limitMs = call.limitMs ?? REQUEST_MS;
    const limit = new AbortController();
    const cancelLimit = this.timing.after(limitMs, () => limit.abort());
    const inner = linked([limit.signal, outer]);
    try {
      const response = await this.#fetch(this.settings.url + call.path, requestOf(call, this.settings, inner.signal));
      if (!response.ok) throw await refusal(call, response);
      return await read(response);
    } catch (error) {
      if (error instanceof PodiumConnectionError) throw error;
      outer.throwIfAborted();
      const detail = limit.signal.aborted ? `no answer within ${limitMs / 1000} s` : reasonOf(error);
      throw this.#unreachable(call, detail, error);
    } finally {
      cancelLimit();
      inner.unlink();
    }
  }

  #unreachable(call: Call, detail: string, cause: unknown): PodiumConnectionError {
    return new PodiumConnectionError(call.operation, {
      code: "unreachable",
      detail: `${this.settings.url}: ${detail}`,
      instanceId: call.instanceId,
      cause,
    });
  }
}

/** The same bytes; an error of the network, or a silence that is too long, becomes what `lost` makes of it. */
function watched(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  timing: Timing,
  outer: Linked,
  lost: (detail: string, cause?: unknown) => Error,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  const next = (): ReturnType<typeof reader.read> =>
    new Promise((resolve, reject) => {
      const silent = timing.after(SILENT_MS, () => reject(lost(`nothing came for ${SILENT_MS / 1000} s`)));
      const failed = (error: unknown): void => reject(lost(reasonOf(error), error));
      unlessAborted(reader.read().catch(failed), outer.signal).then(
        (result) => (silent(), result === undefined ? undefined : resolve(result)),
        (reason: unknown) => (silent(), reject(reason)),
      );
    });
  return new ReadableStream({
    pull: async (controller) => {
      try {
        const { done, value } = await next();
        if (!done) return controller.enqueue(value);
        controller.close();
      } catch (error) {
        controller.error(error);
        reader.cancel().catch(() => undefined);
      }
      outer.unlink();
    },
    cancel: (reason) => {
      outer.unlink();
      return reader.cancel(reason);
    },
  });
}

function requestOf(call: Call, settings: Settings, signal: AbortSignal): RequestInit {
  const isJson = call.json !== undefined;
  const body = isJson ? JSON.stringify(call.json) : call.body;
  return {
    method: call.method,
    headers: {
      Accept: "application/json",
      ...(isJson ? { "Content-Type": "application/json" } : {}),
      ...carried(),
      ...headersOf(settings),
      ...call.headers,
    },
    ...(body === undefined ? {} : { body }),
    // A redirect would carry the key to another host; cookies and caches have no part in this API.
    redirect: "manual",
    credentials: "omit",
    cache: "no-store",
    signal,
  };
}

async function refusal(call: Call, response: Response): Promise<PodiumConnectionError> {
  const body = await response.text();
  const facts = factsOf(body, response.status, retryAfterMs(response.headers));
  return new PodiumConnectionError(call.operation, { ...facts, instanceId: call.instanceId });
}

/** Milliseconds in `Retry-After`; undefined when it is absent or a date. */
function retryAfterMs(headers: Headers): number | undefined {
  const seconds = headers.get("Retry-After") ?? "";
  return /^[0-9]+$/.test(seconds) ? Number(seconds) * 1000 : undefined;
}

/** What a failed `fetch` says; Node hides the reason one level down. */
function reasonOf(error: unknown): string {
  const behind = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(behind instanceof Error)) return "the request failed";
  const { code } = behind as { code?: unknown };
  return behind.message || (typeof code === "string" ? code : behind.name);
}
