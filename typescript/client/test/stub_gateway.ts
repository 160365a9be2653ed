import type { Server } from "bun";
import { ERRORS, type ErrorCode } from "../src/wire/errors.ts";

/** A request as the stub saw it. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

type Answer = Response | ((request: Request) => Response | Promise<Response>);

/** A real server that answers what a test wants, one after the other, the last for ever; it remembers the requests. */
export class StubGateway {
  readonly seen: Seen[] = [];
  answers: Answer[] = [];
  readonly #server: Server<undefined>;

  constructor() {
    this.#server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: (request) => this.#answer(request) });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    this.seen.push({ method: request.method, path: url.pathname + url.search, headers: request.headers, body: await request.text() });
    const answer = this.answers.length > 1 ? this.answers.shift()! : this.answers[0]!;
    return typeof answer === "function" ? answer(request) : (answer.clone() as Response);
  }
}

/** An answer with this code, as the gateway gives it. */
export function problem(code: ErrorCode, more: Record<string, unknown> = {}, headers: Record<string, string> = {}): Response {
  const { status, title } = ERRORS[code];
  const body = { type: `https://podium.dev/problems/${code}`, title, status, detail: "as the test wants", code, request_id: "r-1", ...more };
  return Response.json(body, { status, headers: { "content-type": "application/problem+json", ...headers } });
}
