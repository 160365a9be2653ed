/** What an author is given in every hook: the agent's identity, its state, and everything it can say and ask. */

import { isAbsolute, relative, resolve } from "node:path";

import type { AgentConfig } from "./agent.ts";
import {
  type Answers,
  answered,
  type AskOptions,
  type ChosenOption,
  chosen,
  type PermissionOptions,
  type QuestionLike,
  readOptions,
  readQuestions,
} from "./asking.ts";
import { type CommandOptions, type CommandResult, RunningCommand } from "./commands.ts";
import { AgentUsageError, errorMessage } from "./errors.ts";
import type { AgentLog } from "./log.ts";
import { MessageHandle } from "./message.ts";
import type { Sent } from "./outbox.ts";
import type { ConversationEntry, FileVersion, Usage } from "./records.ts";
import { converted } from "./schema.ts";
import type { Secrets } from "./secrets.ts";
import type { DeltaState } from "./state/index.ts";
import { Thoughts } from "./thinking.ts";
import { TRACE_VARIABLE } from "./tracing.ts";
import { ToolCallHandle, type ToolCallOptions } from "./tools.ts";
import type { Turn } from "./turn.ts";
import type { InstanceServices, TurnSpeaker } from "./voice.ts";
import { type AgentEventName, ALIASES, type EventContents, type PlanEntry } from "./wire/events.ts";
import { EVENT_DEFINITIONS, EVENT_SCHEMAS } from "./wire/schemas.ts";

/** The context of one turn, or of a hook outside turns; that one follows the running turn. */
export class AgentContext<S extends DeltaState = DeltaState> {
  readonly #instance: InstanceServices;
  readonly #speaker: TurnSpeaker;

  constructor(instance: InstanceServices, speaker: TurnSpeaker) {
    this.#instance = instance;
    this.#speaker = speaker;
  }

  /** The agent's durable identity. */
  get agentId(): string {
    return this.#instance.init.agent_id;
  }

  /** This activation of the agent. */
  get instanceId(): string {
    return this.#instance.init.instance_id;
  }

  /** The type its deployment was made for. */
  get agentType(): string {
    return this.#instance.init.agent_type;
  }

  /** The code that runs: `type:version@hash8`. */
  get deploymentId(): string {
    return this.#instance.init.deployment_id;
  }

  /** The turn this context belongs to: `id`, `attempt`, `messageId`, `origin`. Null outside turns. */
  get turn(): Turn | null {
    return this.#speaker.turn;
  }

  /**
   * The W3C trace context the agent works under now, for the header `traceparent` of requests to others: that of the turn,
   * outside turns that of the start. Empty when there is none. OpenTelemetry, where the agent uses it, goes on with it by itself.
   */
  get traceparent(): string {
    return this.turn?.traceparent ?? process.env[TRACE_VARIABLE] ?? "";
  }

  /**
   * The agent's state, of its class `State`. Changing it saves it.
   *
   * @throws AgentUsageError the agent declares no `State`.
   */
  get state(): S {
    const { state } = this.#instance;
    if (state === null) throw new AgentUsageError("the agent declares no State: add `static State = …` to it");
    return state as S;
  }

  /** The same as `state`. */
  get deltaState(): S {
    return this.state;
  }

  /** The configuration as it is now. */
  get config(): AgentConfig {
    return this.#instance.config;
  }

  /** The value at `key`, where dots lead into tables: `getConfig("model.name", "none")`; `fallback` when there is none. */
  getConfig<T>(key: string, fallback: T): T;
  getConfig(key: string): unknown;
  getConfig(key: string, fallback?: unknown): unknown {
    const { config } = this;
    if (Object.hasOwn(config, key)) return config[key];
    let value: unknown = config;
    for (const part of key.split(".")) {
      if (value === null || typeof value !== "object" || !Object.hasOwn(value, part)) return fallback;
      value = (value as Record<string, unknown>)[part];
    }
    return value;
  }

  /** Path of the agent's directory of files. */
  get workspace(): string {
    return this.#instance.init.workspace;
  }

  /** The secrets of the instance; printing it hides their values. */
  get secrets(): Secrets {
    return this.#instance.secrets;
  }

  /** The agent's log: `ctx.log.info("paid", { amount: 3 })`. */
  get log(): AgentLog {
    return this.#instance.log;
  }

  /** Aborted when the turn is to end; outside turns, when the process is about to. Hand it to `fetch` and the like. */
  get signal(): AbortSignal {
    return this.#speaker.signal;
  }

  /** Whether the turn is to end. */
  get cancelled(): boolean {
    return this.signal.aborted;
  }

  /** Begins an answer. It is ended by `final`, by `end()`, by the next one, or with the turn. `role` is always the agent. */
  async sendMessage(text = "", _role: "agent" = "agent"): Promise<MessageHandle> {
    this.#speaker.requireRunning();
    const { turn } = this;
    this.#instance.openMessage(turn)?.finish("end_turn");
    const begin = { message_id: turn?.messageId ?? "", attempt: turn?.attempt ?? 1 };
    const handle = new MessageHandle(this.#speaker, begin, (ended) => {
      if (this.#instance.openMessage(turn) === ended) this.#instance.setOpenMessage(turn, null);
    });
    this.#instance.setOpenMessage(turn, handle);
    if (text !== "") await handle.streamToken(text);
    await this.#speaker.room();
    return handle;
  }

  /** Thoughts outside a message: `await using thoughts = ctx.thinking()`, or with a function that is given them. */
  thinking(): Thoughts;
  thinking<T>(work: (thoughts: Thoughts) => T | PromiseLike<T>): Promise<T>;
  thinking<T>(work?: (thoughts: Thoughts) => T | PromiseLike<T>): Thoughts | Promise<T> {
    if (work === undefined) {
      this.#speaker.requireRunning();
      return new Thoughts(this.#speaker);
    }
    return this.#think(work);
  }

  /**
   * A tool call: `await using call = ctx.toolCall("search", { q })`, and set `call.result`; or with a function, whose
   * value is the result and whose exception becomes `tool.error`.
   */
  toolCall(name: string, args?: unknown, options?: ToolCallOptions): ToolCallHandle;
  toolCall<T>(name: string, args: unknown, work: (call: ToolCallHandle) => T | PromiseLike<T>): Promise<T>;
  toolCall<T>(
    name: string,
    args: unknown,
    options: ToolCallOptions,
    work: (call: ToolCallHandle) => T | PromiseLike<T>,
  ): Promise<T>;
  toolCall<T>(
    name: string,
    args?: unknown,
    options: ToolCallOptions | ((call: ToolCallHandle) => T | PromiseLike<T>) = {},
    work?: (call: ToolCallHandle) => T | PromiseLike<T>,
  ): ToolCallHandle | Promise<T> {
    if (typeof options === "function") return this.#call(name, args, {}, options);
    if (work !== undefined) return this.#call(name, args, options, work);
    this.#speaker.requireRunning();
    return new ToolCallHandle(this.#speaker, name, args, options);
  }

  /** What a model call cost. */
  usage(model: string, usage: Usage = {}): Sent {
    const { provider = "", inputTokens = 0, outputTokens = 0, cachedTokens = 0, costMicroDollars = 0 } = usage;
    return this.emit("usage.update", {
      model,
      provider,
      input_tokens: inputTokens,
      output_tokens: outputTokens,
      cached_tokens: cachedTokens,
      cost_micro_dollars: costMicroDollars,
    });
  }

  /** How full the model's context window is. */
  contextWindow(totalTokens: number, maxTokens: number): Sent {
    const percent = maxTokens > 0 ? Math.round((10_000 * totalTokens) / maxTokens) / 100 : 0;
    return this.emit("usage.context", { total_tokens: totalTokens, max_tokens: maxTokens, percent_used: percent });
  }

  /** The whole plan as it now stands; a text is an entry that is pending. */
  plan(entries: readonly (string | PlanEntry)[]): Sent {
    const read = entries.map((entry) => (typeof entry === "string" ? { content: entry, status: "pending" as const } : entry));
    return this.emit("plan.updated", { entries: read });
  }

  /**
   * Sends any event an agent may send.
   *
   * @throws AgentUsageError an agent may not send this event, or the content does not fit it.
   */
  emit<Name extends AgentEventName>(type: Name, content: EventContents[Name]): Sent {
    const name = (ALIASES[type] ?? type) as AgentEventName;
    const schema = EVENT_SCHEMAS[name];
    if (schema === undefined) {
      const allowed = Object.keys(EVENT_SCHEMAS).join(", ");
      throw new AgentUsageError(`an agent may not emit ${JSON.stringify(type)}; it may emit ${allowed}`);
    }
    let read: unknown;
    try {
      read = converted(content, schema, EVENT_DEFINITIONS);
    } catch (error) {
      throw new AgentUsageError(`${name}: ${errorMessage(error)}`, { cause: error });
    }
    this.#speaker.tell(name, read as EventContents[AgentEventName]);
    return this.#speaker.sent();
  }

  /**
   * Asks for leave and waits.
   *
   * The request outlives the process: when the turn is run again after a crash and asks the same, an answer that came
   * meanwhile is found.
   *
   * @throws AgentUsageError an option is none, or `default` is none of them.
   * @throws TurnCancelled the turn is to end.
   */
  async askPermission(toolName: string, args?: unknown, how: PermissionOptions = {}): Promise<ChosenOption> {
    const options = readOptions(how.options);
    if (how.default !== undefined && !options.some((option) => option.option_id === how.default)) {
      throw new AgentUsageError(`default ${JSON.stringify(how.default)} is none of the options`);
    }
    const content = {
      tool_name: toolName,
      options,
      ...(args === undefined || args === null ? {} : { arguments: args }),
      ...(how.default === undefined ? {} : { default: how.default }),
    };
    const named = how.toolCallId === undefined ? {} : { tool_call_id: how.toolCallId };
    const answer = await this.#speaker.ask("tool.permission_requested", content, { ...named, ...deadline(how.timeoutMs) });
    return chosen(answer, options);
  }

  /**
   * Asks questions and waits; a restart and a deadline are as in `askPermission`.
   *
   * @throws AgentUsageError a question is none.
   * @throws TurnCancelled the turn is to end.
   */
  async ask(
    questions: QuestionLike | readonly QuestionLike[],
    how: AskOptions<Readonly<Record<string, unknown>>> = {},
  ): Promise<Answers> {
    const content = {
      questions: readQuestions(questions),
      ...(how.default === undefined ? {} : { default: how.default }),
    };
    return answered(await this.#speaker.ask("tool.question_requested", content, deadline(how.timeoutMs)));
  }

  /**
   * Runs a command (a text goes to the shell) in the workspace, or in `cwd`, and streams its output. What it left running
   * in its process group is killed when it ends.
   *
   * @throws Error it can't be started.
   * @throws TurnCancelled the turn is to end.
   */
  async runCommand(command: string | readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    this.#speaker.requireRunning();
    const folder = resolve(this.workspace, options.cwd ?? ".");
    return new RunningCommand(this.#speaker, command, options).run(folder, this.#instance.commands);
  }

  /**
   * The latest messages of the conversation, oldest first.
   *
   * @throws AgentRequestError the coordinator refused, or did not answer in time.
   */
  async messages(limit = 100): Promise<ConversationEntry[]> {
    return (await this.#request("messages", { limit })) as ConversationEntry[];
  }

  /**
   * Names this moment of the workspace; returns its iteration.
   *
   * @throws AgentRequestError the host has no versioned workspace, or did not answer in time.
   */
  async checkpoint(label = ""): Promise<number> {
    return ((await this.#request("checkpoint", { label })) as { iteration: number }).iteration;
  }

  /**
   * The changes of a path of the workspace, or of all of it, newest first. What was written before is among them.
   *
   * @throws AgentRequestError the host has no versioned workspace, or did not answer in time.
   */
  async history(path = "", limit = 100): Promise<FileVersion[]> {
    return (await this.#request("history", { path: this.#within(path), limit })) as FileVersion[];
  }

  /**
   * Takes the workspace, or one path of it, back to an iteration or to a checkpoint's label (or a turn's id); returns the
   * newest iteration then. It is recorded like any change, so it can be taken back too.
   *
   * @throws AgentRequestError there is no such moment, the host has no versioned workspace, or no answer came in time.
   */
  async restore(moment: number | string, path = ""): Promise<number> {
    const at = typeof moment === "number" ? { iteration: moment, label: "" } : { iteration: null, label: moment };
    return ((await this.#request("restore", { ...at, path: this.#within(path) })) as { iteration: number }).iteration;
  }

  /**
   * Calls `handler` with the text of every steer; set in a turn, it ends with the turn.
   *
   * @throws AgentUsageError another event.
   */
  on(event: "steer", handler: (text: string) => void | Promise<void>): void {
    if (event !== "steer") throw new AgentUsageError(`there is no event ${JSON.stringify(event)} to wait for; there is "steer"`);
    this.#instance.addSteerHandler(this.turn, handler);
  }

  /**
   * The steers of this turn, until it ends; with `wait: false` only those that have come. A steer that a handler took
   * does not come here.
   *
   * @throws TurnCancelled the turn is to end.
   */
  async *steering(options: { readonly wait?: boolean } = {}): AsyncGenerator<string, void, void> {
    const progress = this.turn?.progress;
    while (progress !== undefined) {
      for (let text = progress.steers.shift(); text !== undefined; text = progress.steers.shift()) yield text;
      if (options.wait === false || progress.over) return;
      await this.#speaker.unlessCancelled(progress.steered());
    }
  }

  async #think<T>(work: (thoughts: Thoughts) => T | PromiseLike<T>): Promise<T> {
    await using thoughts = this.thinking();
    return await work(thoughts);
  }

  async #call<T>(
    name: string,
    args: unknown,
    options: ToolCallOptions,
    work: (call: ToolCallHandle) => T | PromiseLike<T>,
  ): Promise<T> {
    return this.toolCall(name, args, options).run(work);
  }

  #request(method: string, params: Record<string, unknown>): Promise<unknown> {
    return this.#speaker.unlessCancelled(this.#instance.request(method, params));
  }

  /** A path as the workspace knows it, also of an absolute one inside it. */
  #within(path: string): string {
    if (!isAbsolute(path)) return path === "." ? "" : path;
    const inside = relative(this.workspace, path);
    return inside.startsWith("..") ? path : inside;
  }
}

function deadline(timeoutMs: number | undefined): { expires_at?: number } {
  return timeoutMs === undefined ? {} : { expires_at: Math.floor(Date.now() + timeoutMs) };
}
