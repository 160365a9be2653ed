/** A tool call the agent makes: `await using call = ctx.toolCall(…)`, or `await ctx.toolCall(…, async (call) => …)`. */
/// <reference lib="esnext.disposable" preserve="true" />

import { AgentUsageError, errorMessage, errorName, TurnCancelled } from "./errors.ts";
import { encode } from "./json.ts";
import { newId } from "./ids.ts";
import type { Speaker } from "./speaker.ts";
import type { UnsettledCall } from "./turn.ts";

/** What else is known of a tool call. */
export interface ToolCallOptions {
  /** What the tool does: `read`, `edit`, `execute`, … */
  readonly kind?: string;
  /** One line for people. */
  readonly title?: string;
  /** Files it is about. */
  readonly locations?: readonly Readonly<Record<string, unknown>>[];
}

/** A longer message of `tool.error` is cut, in UTF-16 units. */
const ERROR_MAX_CHARS = 4096;

/**
 * Sends `tool.call_start` when it is made, `tool.call` with the whole arguments, and `tool.result` or `tool.error`.
 *
 * Arguments that stream are sent with `delta`; `tool.call` follows when the code waits for something else or says
 * something else. Without given arguments, `call.arguments = …` may be set later; else the joined deltas count.
 */
export class ToolCallHandle implements UnsettledCall, AsyncDisposable {
  /** `call-…`: what a permission for this call names. */
  readonly id: string = newId("call");
  /** The tool's name. */
  readonly name: string;
  /** The arguments as far as they are known; undefined: what `delta` sends counts. */
  arguments: unknown;
  /** What the tool gave. Leaving an `await using` block without a result is a `tool.error`. */
  result: unknown = undefined;
  readonly #speaker: Speaker;
  readonly #options: ToolCallOptions;
  #deltas = "";
  #settled = false;
  #over = false;

  constructor(speaker: Speaker, name: string, args: unknown, options: ToolCallOptions) {
    this.#speaker = speaker;
    this.#options = options;
    this.name = name;
    this.arguments = args;
    if (args !== undefined) encode(args, `${name}: its arguments`);
    speaker.tell("tool.call_start", { tool_call_id: this.id, tool_name: name, ...given(options, "title", "kind") });
    speaker.unsettled.push(this);
    if (args !== undefined) setImmediate(() => this.#unlessOver(() => this.settle()));
  }

  /**
   * A further piece of the arguments' text.
   *
   * @throws TurnCancelled the turn is to end.
   */
  async delta(fragment: string): Promise<void> {
    this.#speaker.requireRunning();
    this.#deltas += fragment;
    this.#speaker.tell("tool.call_delta", { tool_call_id: this.id, arguments_delta: fragment }, this);
    await this.#speaker.room();
  }

  /** Ends the call with `result`, or with the one that was set. Ending it again does nothing. */
  succeed(result: unknown = this.result): void {
    if (this.#over) return;
    this.settle();
    try {
      this.#speaker.tell("tool.result", { tool_call_id: this.id, tool_name: this.name, result: result ?? null });
    } catch (error) {
      if (error instanceof AgentUsageError) this.fail(error.message);
      throw error;
    }
    this.#over = true;
  }

  /** Ends the call with `tool.error`; `error` is what was thrown, or a text. Ending it again does nothing. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.settle();
    const message = (typeof error === "string" ? error : failure(error)).slice(0, ERROR_MAX_CHARS);
    this.#speaker.tell("tool.error", { tool_call_id: this.id, tool_name: this.name, message });
  }

  /** Whether its arguments were not given yet, so that something else being said does not settle it. */
  get waitsForArguments(): boolean {
    return this.arguments === undefined;
  }

  /** Sends `tool.call`, once; for the SDK, when something else happens after the arguments. */
  settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    const at = this.#speaker.unsettled.indexOf(this);
    if (at >= 0) this.#speaker.unsettled.splice(at, 1);
    this.#speaker.tell("tool.call", {
      tool_call_id: this.id,
      tool_name: this.name,
      arguments: this.#wholeArguments(),
      ...(this.#options.locations === undefined ? {} : { locations: [...this.#options.locations] }),
    });
  }

  /** Ends the call: with the result that was set, or as an error when there is none. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.result !== undefined) this.succeed();
    else if (this.#speaker.signal.aborted) this.fail("cancelled");
    else this.fail("the call was left without a result");
    await this.#speaker.roomEvenCancelled();
  }

  /** Runs `work` and ends the call with what it returns (or what it set as `result`), or with what it throws. */
  async run<T>(work: (call: ToolCallHandle) => T | PromiseLike<T>): Promise<T> {
    let value: T;
    try {
      value = await work(this);
    } catch (error) {
      this.#unlessOver(() => this.fail(error));
      throw error;
    }
    this.succeed(this.result === undefined ? value : this.result);
    await this.#speaker.roomEvenCancelled();
    return value;
  }

  #unlessOver(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof AgentUsageError)) throw error; // the turn is over: nobody hears it
    }
  }

  #wholeArguments(): unknown {
    if (this.arguments !== undefined) return this.arguments;
    if (this.#deltas === "") return {};
    try {
      return JSON.parse(this.#deltas) as unknown;
    } catch {
      return this.#deltas;
    }
  }
}

function failure(error: unknown): string {
  return error instanceof TurnCancelled ? "cancelled" : `${errorName(error)}: ${errorMessage(error)}`;
}

function given<T extends object, K extends keyof T>(options: T, ...names: K[]): Pick<T, K> {
  return Object.fromEntries(names.filter((name) => options[name] !== undefined).map((name) => [name, options[name]])) as Pick<T, K>;
}
