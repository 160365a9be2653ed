/** The coordinator's part of the link, in memory: keeps state, conversation, questions and turns over restarts. */

import type { Connection } from "../connection.ts";
import { FrameBuffer, packed } from "../frames.ts";
import type { Instance } from "../instance.ts";
import { byteLength } from "../json.ts";
import type { Json, Operation } from "../state/index.ts";
import type { AnswerRequest, FromAgent, Log, Ready, Request, StreamUpdate, ToAgent } from "../wire/link.ts";
import { AgentHarnessError, HarnessTimeoutError, StateBypassedError } from "./errors.ts";
import { apply } from "./patch.ts";
import { HarnessEvent, type HarnessTurn, type TurnHost } from "./turn.ts";
import type { HarnessVersions } from "./versions.ts";

const REQUESTS: readonly string[] = ["tool.permission_requested", "tool.question_requested"];

/** How a request is resolved. */
export type Resolution = Pick<AnswerRequest, "outcome" | "option_id" | "answers">;

/** What a coordinator keeps of one agent. `connect` gives it the next process's link. */
export class MemoryCoordinator implements TurnHost {
  /** The state as it is stored, its number, and the version of the class that wrote it. */
  state: { [key: string]: Json } | null = null;
  version = 0;
  schema: number | null = null;
  readonly events: HarnessEvent[] = [];
  readonly logs: Log[] = [];
  readonly conversation: Record<string, unknown>[] = [];
  readonly idleReplies: boolean[] = [];
  pongs = 0;
  ready: Ready | null = null;
  initError: string | null = null;
  instance: Instance | null = null;
  /** The versions of the agent's workspace, while there is one. */
  versions: HarnessVersions | null = null;
  readonly #answer: (event: HarnessEvent) => Resolution | null;
  readonly #timeoutMs: number;
  readonly #turns: HarnessTurn[] = [];
  readonly #asked = new Map<string, AnswerRequest | null>();
  readonly #waiting = new Set<() => void>();
  #running: HarnessTurn | null = null;
  #link: Connection | null = null;
  /** What the agent did that no agent may do; thrown to whoever waits next. */
  #broken: Error | null = null;

  constructor(answer: (event: HarnessEvent) => Resolution | null, timeoutMs: number) {
    this.#answer = answer;
    this.#timeoutMs = timeoutMs;
  }

  // ── the link ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whether a process has the link. */
  get connected(): boolean {
    return this.#link !== null;
  }

  /** A new process. */
  connect(link: Connection): void {
    const frames = new FrameBuffer();
    this.#link = link;
    this.ready = null;
    this.initError = null;
    link.listen(
      (data) => {
        try {
          for (const body of frames.feed(data)) this.#act(JSON.parse(body) as FromAgent);
        } catch (error) {
          this.#broken ??= error as Error;
        }
        this.#tell();
      },
      () => this.disconnect(),
    );
  }

  /** The process is gone. A turn it did not end waits to be run again. */
  disconnect(): void {
    this.#link?.close();
    this.#link = null;
    const turn = this.#running;
    if (turn !== null) {
      this.#running = null;
      turn.message = { ...turn.message, attempt: turn.message.attempt + 1 };
      this.#turns.unshift(turn);
    }
    this.#tell();
  }

  /**
   * Sends a frame.
   *
   * @throws AgentHarnessError no process runs.
   */
  send(frame: ToAgent): void {
    if (this.#link === null) throw new AgentHarnessError("the agent does not run");
    const body = JSON.stringify(frame);
    this.#link.write(packed([body], byteLength(body)));
  }

  async until(what: string, holds: () => boolean, said: () => string = () => ""): Promise<void> {
    const end = Date.now() + this.#timeoutMs;
    for (;;) {
      if (this.#broken !== null) throw this.#broken;
      if (holds()) return;
      const left = end - Date.now();
      if (left <= 0) {
        const logs = this.logs.slice(-5).map((record) => record.message);
        throw new HarnessTimeoutError(`waited ${this.#timeoutMs} ms for ${what}; ${said()}, logs: ${logs.join(", ")}`);
      }
      await this.#changed(left);
    }
  }

  async checkState(): Promise<void> {
    const { instance } = this;
    if (instance?.tracked == null || this.#same(instance)) return;
    await this.settled(); // what it changed just now may be on its way
    if (this.instance !== instance || this.#same(instance)) return;
    const held = JSON.stringify(instance.tracked.toJSON());
    throw new StateBypassedError(`the agent has ${held}, its operations led to ${JSON.stringify(this.state)}`);
  }

  /** Everything the agent was sent has been acted on and its answers are here. */
  async settled(): Promise<void> {
    const { pongs } = this;
    this.send({ type: "ping", nonce: pongs + 1 });
    await this.until("pong", () => this.pongs > pongs);
  }

  // ── turns ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Queues a turn; turns run one at a time. */
  begin(turn: HarnessTurn): void {
    this.conversation.push({ ...turn.message.data, role: "user", message_id: turn.message.id });
    this.#turns.push(turn);
    this.#next();
  }

  steer(turnId: string, text: string): void {
    this.send({ type: "steer", turn_id: turnId, text });
  }

  cancel(turnId: string): void {
    this.send({ type: "cancel", turn_id: turnId });
  }

  /**
   * Answers a question or permission; kept when no process runs.
   *
   * @throws AgentHarnessError nobody asked it, or it was answered.
   */
  resolve(requestId: string, resolution: Resolution): void {
    const known = this.#asked.get(requestId);
    if (known === undefined) throw new AgentHarnessError(`the agent asked nothing under ${JSON.stringify(requestId)}`);
    if (known !== null) throw new AgentHarnessError(`${requestId} was answered already`);
    const answer: AnswerRequest = { type: "answer", request_id: requestId, ...resolution };
    this.#asked.set(requestId, answer);
    if (this.connected) this.send(answer);
  }

  #next(): void {
    if (this.ready === null || this.#running !== null || this.#link === null) return;
    const turn = this.#turns.shift();
    if (turn === undefined) return;
    this.#running = turn;
    this.send(turn.message);
  }

  #turnEnded(messageId: string, stopReason: string, error: string | null): void {
    const turn = this.#running;
    if (turn?.message.id !== messageId) throw new AgentHarnessError(`the agent ended a turn that does not run (${messageId})`);
    this.versions?.record();
    turn.stopReason = stopReason;
    turn.error = error;
    turn.over = true;
    this.#running = null;
    this.conversation.push({ role: "agent", text: turn.text, message_id: messageId });
    this.#next();
  }

  // ── frames ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #act(frame: FromAgent): void {
    switch (frame.type) {
      case "ready":
        this.ready = frame;
        return this.#next();
      case "stream_update":
        return this.#event(frame);
      case "state_delta":
        for (const delta of frame.deltas) {
          this.#follows(delta.version);
          this.state = apply(this.state, delta.ops as Operation[]) as { [key: string]: Json };
        }
        return;
      case "state_replaced":
        this.#follows(frame.version);
        this.state = frame.data as { [key: string]: Json };
        this.schema = frame.state_schema;
        return;
      case "log":
        this.logs.push(frame);
        return;
      case "request":
        return this.#request(frame);
      case "idle_reply":
        this.idleReplies.push(frame.allow);
        return;
      case "complete":
        return this.#turnEnded(frame.message_id, frame.stop_reason, null);
      case "failed": {
        const message = `${frame.error.type}: ${frame.error.message}`;
        if (frame.message_id !== "") return this.#turnEnded(frame.message_id, "error", message);
        this.initError = message;
        return;
      }
      case "pong":
        this.pongs += 1;
    }
  }

  #event(frame: StreamUpdate): void {
    const turn = this.#running?.message.id === frame.message_id ? this.#running : null;
    const event = new HarnessEvent(frame.element.type, frame.element.content as Record<string, unknown>, turn?.id);
    const requestId = REQUESTS.includes(event.type) ? event.text("request_id") : null;
    if (requestId !== null) {
      const known = this.#asked.get(requestId);
      if (known !== undefined) {
        if (known !== null) this.send(known);
        return;
      }
      this.#asked.set(requestId, null);
    }
    this.events.push(event);
    turn?.events.push(event);
    const given = requestId === null ? null : this.#answer(event);
    if (requestId !== null && given !== null) this.resolve(requestId, given);
  }

  #follows(version: number): void {
    if (version !== this.version + 1) throw new AgentHarnessError(`state version ${version} after ${this.version}`);
    this.version = version;
  }

  #request(frame: Request): void {
    if (frame.method === "messages") {
      const result = this.conversation.slice(-Number(frame.params["limit"]));
      this.send({ type: "response", id: frame.id, result });
      return;
    }
    try {
      const result = this.versions?.answer(frame.method, frame.params, this.#running?.id ?? "");
      this.send({ type: "response", id: frame.id, result });
    } catch (error) {
      if (!(error instanceof AgentHarnessError)) throw error;
      this.send({ type: "response", id: frame.id, error: error.message });
    }
  }

  #same(instance: Instance): boolean {
    return instance.tracked === null || Bun.deepEquals(instance.tracked.toJSON(), this.state);
  }

  #changed(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#waiting.add(done);
    });
  }

  #tell(): void {
    for (const waiting of [...this.#waiting]) waiting();
  }
}
