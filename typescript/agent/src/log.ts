/** The agent's log: `ctx.log`, and how a record is written. */

import { traceback } from "./errors.ts";
import { encode } from "./json.ts";
import type { Log } from "./wire/link.ts";

/** How serious a record is. */
export type LogLevel = Log["level"];

/** A longer message or traceback is cut, in UTF-16 units. */
const TEXT_MAX = 64 * 1024;

/** Structured log of the agent: `ctx.log.info("paid", { amount: 3 })`. Values JSON can't hold are written as text. */
export class AgentLog {
  readonly #send: (record: Log) => void;
  readonly #module: string;

  constructor(send: (record: Log) => void, module: string) {
    this.#send = send;
    this.#module = module;
  }

  /** For the author. */
  debug(message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#log("debug", message, fields);
  }

  /** What happened. */
  info(message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#log("info", message, fields);
  }

  /** Something is odd. */
  warn(message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#log("warning", message, fields);
  }

  /** Something failed. A field that is an `Error` is written with its stack. */
  error(message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#log("error", message, fields);
  }

  /** The agent can't do its work. */
  critical(message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#log("critical", message, fields);
  }

  /** An error, with the stack of `error`. */
  failure(message: string, error: unknown): void {
    this.#log("error", message, { traceback: traceback(error) });
  }

  #log(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void {
    const written = Object.entries(fields).map(([name, value]) => [name, field(value)] as const);
    const record: Log = { type: "log", level, message: cut(message), module: this.#module, timestamp: Date.now() };
    this.#send(written.length === 0 ? record : { ...record, fields: Object.fromEntries(written) });
  }
}

function field(value: unknown): unknown {
  if (typeof value === "string") return cut(value);
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (value instanceof Error) return cut(traceback(value));
  if (typeof value === "object") {
    try {
      const text = encode(value, "a field");
      if (text.length <= TEXT_MAX) return JSON.parse(text) as unknown;
    } catch {
      // what JSON can't hold is told as text
    }
  }
  return cut(String(value));
}

function cut(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}…`;
}
