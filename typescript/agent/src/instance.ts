/** One agent from its `init` frame to its end: what comes in is acted on, what hooks do is told. */

import { BaseAgent } from "./agent.ts";
import { CommandGroups } from "./commands.ts";
import { AgentContext } from "./context.ts";
import type { AgentFactory } from "./entry.ts";
import { AgentError, errorMessage, errorName, TurnCancelled } from "./errors.ts";
import { hydrated, type TrackedState } from "./hydration.ts";
import { Inbox } from "./inbox.ts";
import { AgentLog } from "./log.ts";
import type { MessageHandle } from "./message.ts";
import type { Outbox } from "./outbox.ts";
import { Secrets } from "./secrets.ts";
import { AgentTasks } from "./tasks.ts";
import { type AgentInput, inputOf, Turn } from "./turn.ts";
import { underTrace } from "./tracing.ts";
import { type InstanceServices, TurnSpeaker } from "./voice.ts";
import { deferred, settledWithin } from "./waiting.ts";
import { LINK_PROTOCOL } from "./wire/link.ts";
import type { AnswerRequest, ConfigChanged, Init, Message, SteerTurn, ToAgent, TurnError } from "./wire/link.ts";

/** How long `onShutdown` may take. */
const SHUTDOWN_MS = 5000;

/** How long cancelled work may take to end when the process is about to. */
const LEAVE_MS = 2000;

/** A longer message of an exception is cut; the log has all of it. */
const ERROR_MAX_CHARS = 4096;

/** Exit code after `shutdown`. */
export const EXIT_STOPPED = 0;

/** Exit code when the agent could not be made, its state not be read, or `onInit` threw. */
export const EXIT_INIT_FAILED = 3;

/** Exit code when the coordinator went away or broke the protocol. */
export const EXIT_LINK_LOST = 4;

type SteerHandler = (text: string) => void | Promise<void>;

/** Serves one agent. `frameReceived` is called by whoever reads the link. */
export class Instance implements InstanceServices {
  readonly init: Init;
  readonly secrets: Secrets;
  readonly log: AgentLog;
  readonly outbox: Outbox;
  readonly commands = new CommandGroups();
  config: Readonly<Record<string, unknown>>;
  /** The turn that runs. */
  turn: Turn | null = null;
  /** The state, if the agent keeps one. */
  tracked: TrackedState | null = null;
  readonly #factory: AgentFactory;
  readonly #inbox: Inbox;
  readonly #tasks: AgentTasks;
  readonly #life = new AbortController();
  readonly #ended = deferred<number>();
  readonly #waiting: Message[] = [];
  readonly #ctx: AgentContext;
  #agent = new BaseAgent();
  #steerHandlers: { readonly turn: Turn | null; readonly handler: SteerHandler }[] = [];
  #open: { readonly turn: Turn | null; readonly handle: MessageHandle } | null = null;
  #started = false;
  #ending = false;

  constructor(init: Init, factory: AgentFactory, outbox: Outbox) {
    this.init = init;
    this.config = init.config;
    this.secrets = new Secrets(init.secrets);
    this.outbox = outbox;
    this.log = new AgentLog((record) => outbox.send(record), init.agent_type);
    this.#factory = factory;
    this.#inbox = new Inbox(outbox);
    this.#tasks = new AgentTasks((name, error) => this.#taskFailed(name, error));
    this.#ctx = this.#context(this.#life.signal);
  }

  get state(): object | null {
    return this.tracked?.state ?? null;
  }

  /** Resolves with the exit code when all is over. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  /** Whether the agent is about to end. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Begins with the state and `onInit`. */
  start(): void {
    this.#tasks.start("init", () => this.#begin());
  }

  /** The coordinator is gone: nothing that is done now counts any more. */
  linkLost(): void {
    this.#end(EXIT_LINK_LOST);
  }

  /** Cancels whatever still runs and waits for it at most `milliseconds`; commands are killed. */
  async close(milliseconds: number): Promise<void> {
    this.#cancelAll();
    await this.#tasks.close(milliseconds);
    this.commands.killAll();
  }

  // ── frames ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Acts on a frame; a second `init` is told in the log. */
  frameReceived(frame: ToAgent): void {
    switch (frame.type) {
      case "message":
        this.#waiting.push(frame);
        return this.#nextTurn();
      case "steer":
        return this.#steer(frame);
      case "cancel":
        return this.#cancel(frame.turn_id);
      case "answer":
        return this.#inbox.answer(frame);
      case "response":
        return this.#inbox.response(frame);
      case "config_update":
        return this.#configChanged(frame);
      case "idle_check":
        return this.#idleCheck();
      case "shutdown":
        return this.#shutdown(frame.reason);
      case "ping":
        return this.outbox.send({ type: "pong", nonce: frame.nonce });
      case "init":
        return this.log.error("unexpected_frame", { type: frame.type });
    }
  }

  #steer(frame: SteerTurn): void {
    const { turn } = this;
    if (turn === null || turn.id !== frame.turn_id) return;
    const handlers = this.#steerHandlers.filter((entry) => entry.turn === null || entry.turn === turn);
    const listeners = [...handlers.map((entry) => entry.handler), ...this.#agent.listenersOf("steer")];
    if (listeners.length === 0) turn.progress.steer(frame.text);
    for (const listener of listeners) this.#tasks.start("steer", () => listener(frame.text));
  }

  #cancel(turnId: string): void {
    if (this.turn?.id === turnId) {
      this.turn.progress.cancel();
      for (const listener of this.#agent.listenersOf("cancel")) this.#tasks.start("cancel", () => listener());
      return;
    }
    const at = this.#waiting.findIndex((message) => message.turn_id === turnId);
    const [message] = at < 0 ? [] : this.#waiting.splice(at, 1);
    if (message !== undefined) this.outbox.send({ type: "complete", message_id: message.id, stop_reason: "cancelled" });
  }

  #configChanged(frame: ConfigChanged): void {
    this.config = frame.config;
    this.#agent.config = frame.config;
    if (!this.#started || this.#ending) return;
    this.#tasks.start("onConfigChange", async () => {
      for (const listener of this.#agent.listenersOf("configChange")) await listener(this.#ctx, frame.changes);
      await this.#agent.onConfigChange(this.#ctx, frame.changes);
    });
  }

  #idleCheck(): void {
    if (this.turn !== null || this.#waiting.length > 0 || !this.#started || this.#ending) {
      this.outbox.send({ type: "idle_reply", allow: false });
      return;
    }
    this.#tasks.start("onIdleTimeout", async () => {
      let allow = false;
      try {
        allow = await this.#agent.onIdleTimeout(this.#ctx);
      } finally {
        // an exception defers sleep too, and is logged by the task's owner
        this.outbox.send({ type: "idle_reply", allow: allow && this.turn === null });
      }
    });
  }

  // ── life ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async #begin(): Promise<void> {
    let model: typeof BaseAgent.State;
    try {
      this.#agent = await this.#factory(this.config);
      this.#agent.config = this.config;
      model = (this.#agent.constructor as typeof BaseAgent).State;
      if (model !== undefined) this.tracked = hydrated(model, this.init, this.outbox);
      for (const listener of this.#agent.listenersOf("init")) await listener(this.#ctx);
      await this.#agent.onInit(this.#ctx);
    } catch (error) {
      if (this.#ending) return;
      this.log.failure("the agent could not be started", error);
      this.outbox.send({ type: "failed", message_id: "", error: turnError(error) });
      this.#ending = true;
      this.#cancelAll();
      return this.#leave(EXIT_INIT_FAILED);
    }
    if (this.#ending) return;
    this.#started = true;
    this.outbox.send({
      type: "ready",
      protocol: LINK_PROTOCOL,
      ...(model === undefined ? {} : { state_schema: model.version }),
      ...(model?.entityType ? { entity_type: model.entityType } : {}),
    });
    this.#nextTurn();
    this.#tasks.start("run", () => this.#agent.run(this.#ctx));
  }

  #shutdown(reason: string): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#tasks.start("shutdown", () => this.#stop(reason));
  }

  async #stop(reason: string): Promise<void> {
    // A running turn is not completed: it is the coordinator's to end it, or to run it again elsewhere.
    this.#cancelAll();
    await this.#tasks.close(LEAVE_MS, "shutdown");
    if (this.#started) {
      const ctx = this.#context(new AbortController().signal);
      const hook = async (): Promise<void> => {
        for (const listener of this.#agent.listenersOf("shutdown")) await listener(ctx);
        await this.#agent.onShutdown(ctx);
      };
      const done = hook().catch((error: unknown) => this.log.failure(`onShutdown (${reason}) failed`, error));
      if (!(await settledWithin(SHUTDOWN_MS, done))) this.log.error(`onShutdown (${reason}) took longer than ${SHUTDOWN_MS} ms`);
    }
    this.#leave(EXIT_STOPPED);
  }

  #leave(code: number): void {
    this.outbox.flush();
    this.#end(code);
  }

  #end(code: number): void {
    this.#ending = true;
    this.commands.killAll();
    this.#ended.resolve(code);
  }

  #cancelAll(): void {
    this.turn?.progress.cancel();
    this.#life.abort(new TurnCancelled("the agent is about to end"));
  }

  // ── turns ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #nextTurn(): void {
    if (!this.#started || this.#ending || this.turn !== null) return;
    const message = this.#waiting.shift();
    if (message === undefined) return;
    const turn = new Turn(message);
    this.turn = turn;
    this.#tasks.start(`turn ${turn.id}`, () => this.#run(turn, inputOf(message)));
  }

  async #run(turn: Turn, input: AgentInput): Promise<void> {
    const ctx = new AgentContext(this, new TurnSpeaker(this, turn, this.#life.signal));
    let failed: { readonly error: unknown } | null = null;
    try {
      if (!turn.progress.signal.aborted) {
        await underTrace(turn.traceparent, async () => {
          for (const listener of this.#agent.listenersOf("message")) await listener(ctx, input);
          await this.#agent.onMessage(ctx, input);
        });
      }
    } catch (error) {
      failed = { error };
    }
    if (this.#ending) return this.#forget(turn);
    const cancelled = turn.progress.signal.aborted;
    if (cancelled && failed !== null) {
      if (!isCancellation(failed.error)) this.log.failure("the cancelled turn threw", failed.error);
      failed = null;
    }
    this.#finish(turn, cancelled ? "cancelled" : "end_turn", failed);
  }

  #finish(turn: Turn, reason: "cancelled" | "end_turn", failed: { readonly error: unknown } | null): void {
    for (const call of [...turn.progress.unsettled]) call.settle();
    this.openMessage(turn)?.finish(failed === null ? reason : "error");
    this.#forget(turn);
    if (failed === null) {
      this.outbox.send({ type: "complete", message_id: turn.messageId, stop_reason: reason });
    } else {
      this.log.failure("the turn failed", failed.error);
      this.outbox.send({ type: "failed", message_id: turn.messageId, error: turnError(failed.error) });
    }
    this.#nextTurn();
  }

  #forget(turn: Turn): void {
    turn.progress.end();
    this.turn = null;
    this.#open = null;
    this.#steerHandlers = this.#steerHandlers.filter((entry) => entry.turn !== turn);
  }

  // ── what contexts need ─────────────────────────────────────────────────────────────────────────────────────────

  openMessage(turn: Turn | null): MessageHandle | null {
    return this.#open?.turn === turn ? this.#open.handle : null;
  }

  setOpenMessage(turn: Turn | null, handle: MessageHandle | null): void {
    this.#open = handle === null ? null : { turn, handle };
  }

  addSteerHandler(turn: Turn | null, handler: SteerHandler): void {
    this.#steerHandlers.push({ turn, handler });
  }

  answerTo(requestId: string, signal: AbortSignal, begin: () => void): Promise<AnswerRequest> {
    return this.#inbox.answerTo(requestId, signal, begin);
  }

  request(method: string, params: Record<string, unknown>): Promise<unknown> {
    return this.#inbox.request(method, params);
  }

  #context(outside: AbortSignal): AgentContext {
    return new AgentContext(this, new TurnSpeaker(this, null, outside));
  }

  #taskFailed(name: string, error: unknown): void {
    if (!(this.#ending && isCancellation(error))) this.log.failure(`${name} failed`, error);
  }
}

/** Whether an error only says that work was told to end. */
function isCancellation(error: unknown): boolean {
  if (error instanceof TurnCancelled) return true;
  return error instanceof Error && error.name === "AbortError" && !(error instanceof AgentError);
}

function turnError(error: unknown): TurnError {
  return { type: errorName(error), message: errorMessage(error).slice(0, ERROR_MAX_CHARS) };
}
