/** What was asked of the coordinator, or through it of a person, and is not answered yet. */

import { AgentRequestError } from "./errors.ts";
import type { Outbox } from "./outbox.ts";
import { deferred, unlessAborted } from "./waiting.ts";
import type { AnswerRequest, Response } from "./wire/link.ts";

/** How long the coordinator may take to answer a request. */
const REQUEST_MS = 30_000;

/** Brings answers to those who wait for them. */
export class Inbox {
  readonly #outbox: Outbox;
  readonly #answers = new Map<string, (answer: AnswerRequest) => void>();
  readonly #responses = new Map<number, (response: Response) => void>();
  #requests = 0;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Waits for the answer to `requestId`, which `begin` asks for. Settled, it is forgotten; the request itself stays. */
  async answerTo(requestId: string, signal: AbortSignal, begin: () => void): Promise<AnswerRequest> {
    const { promise, resolve } = deferred<AnswerRequest>();
    this.#answers.set(requestId, resolve);
    try {
      begin();
      return await unlessAborted(signal, promise);
    } finally {
      this.#answers.delete(requestId);
    }
  }

  /** An `answer` came; one nobody waits for is ignored. */
  answer(frame: AnswerRequest): void {
    this.#answers.get(frame.request_id)?.(frame);
  }

  /**
   * Asks the coordinator.
   *
   * @throws AgentRequestError it refused, or did not answer within 30 s.
   */
  async request(method: string, params: Record<string, unknown>): Promise<unknown> {
    this.#requests += 1;
    const id = this.#requests;
    const { promise, resolve } = deferred<Response | null>();
    this.#responses.set(id, resolve);
    const timer = setTimeout(() => resolve(null), REQUEST_MS);
    try {
      this.#outbox.send({ type: "request", id, method, params });
      const response = await promise;
      if (response === null) throw new AgentRequestError(`${method}: no answer within ${REQUEST_MS / 1000} s`);
      if (typeof response.error === "string") throw new AgentRequestError(response.error);
      return response.result ?? null;
    } finally {
      clearTimeout(timer);
      this.#responses.delete(id);
    }
  }

  /** A `response` came; one nobody waits for is ignored. */
  response(frame: Response): void {
    this.#responses.get(frame.id)?.(frame);
  }
}
