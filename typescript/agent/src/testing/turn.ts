/** One turn as a test sees it. */

import type { Message } from "../wire/link.ts";
import { HarnessTimeoutError } from "./errors.ts";

/** One event the agent emitted: canonical name, content, and the turn it belongs to (empty outside turns). */
export class HarnessEvent {
  readonly type: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly turnId: string;

  constructor(type: string, content: Readonly<Record<string, unknown>>, turnId = "") {
    this.type = type;
    this.content = content;
    this.turnId = turnId;
  }

  /** One member of the content as a text. */
  text(member: string): string {
    return String(this.content[member] ?? "");
  }
}

/** What a turn needs of the coordinator. */
export interface TurnHost {
  steer(turnId: string, text: string): void;
  cancel(turnId: string): void;
  /** Resolves when `holds` does. */
  until(what: string, holds: () => boolean, said: () => string): Promise<void>;
  /** Throws when the agent's state is another than its operations led to. */
  checkState(): Promise<void>;
}

/** A turn that runs or has ended. */
export class HarnessTurn {
  readonly #host: TurnHost;
  /** The message, as it is sent to the agent. */
  message: Message;
  /** Its events, in order. */
  readonly events: HarnessEvent[] = [];
  /** Why it ended; null while it runs. */
  stopReason: string | null = null;
  /** The exception that ended it, as `Name: message`; null when none did. */
  error: string | null = null;
  /** Whether it has ended. */
  over = false;

  constructor(host: TurnHost, message: Message) {
    this.#host = host;
    this.message = message;
  }

  /** `turn-…`. */
  get id(): string {
    return this.message.turn_id;
  }

  /** How many times it was begun. */
  get attempt(): number {
    return this.message.attempt;
  }

  /** The text of all answers that have ended. */
  get text(): string {
    return this.ofType("stream_end")
      .map((event) => event.text("text"))
      .join("");
  }

  /** The names of its events, in order. */
  get types(): string[] {
    return this.events.map((event) => event.type);
  }

  /** Its events of one name. */
  ofType(name: string): HarnessEvent[] {
    return this.events.filter((event) => event.type === name);
  }

  /**
   * Waits for its end.
   *
   * @throws HarnessTimeoutError it did not come in time.
   */
  async done(): Promise<this> {
    await this.#host.until(
      "the turn's end",
      () => this.over,
      () => this.#said(),
    );
    await this.#host.checkState();
    return this;
  }

  /**
   * Waits for the `count`-th event of a name.
   *
   * @throws HarnessTimeoutError it did not come in time, or the turn ended without it.
   */
  async until(name: string, count = 1): Promise<HarnessEvent> {
    await this.#host.until(
      `${name} (${count})`,
      () => this.ofType(name).length >= count || this.over,
      () => this.#said(),
    );
    const found = this.ofType(name)[count - 1];
    if (found === undefined) throw new HarnessTimeoutError(`the turn ended without ${name}; ${this.#said()}`);
    return found;
  }

  /** Text for the running turn. */
  steer(text: string): void {
    this.#host.steer(this.id, text);
  }

  /** Asks for its end; wait for it with `done`. */
  cancel(): void {
    this.#host.cancel(this.id);
  }

  #said(): string {
    return `it said ${this.types.join(", ") || "nothing"}, error: ${this.error ?? "none"}`;
  }
}
