/** How a context speaks: in the turn it belongs to, or in the one that runs. */

import type { CommandGroups } from "./commands.ts";
import { AgentUsageError } from "./errors.ts";
import { encode } from "./json.ts";
import type { AgentLog } from "./log.ts";
import type { MessageHandle } from "./message.ts";
import { type Outbox, Sent } from "./outbox.ts";
import type { Secrets } from "./secrets.ts";
import type { Speaker } from "./speaker.ts";
import type { Turn, UnsettledCall } from "./turn.ts";
import { nextLoopTurn, unlessAborted } from "./waiting.ts";
import type { AgentEventName, EventContents, PermissionRequested, QuestionRequested } from "./wire/events.ts";
import type { AnswerRequest, Init } from "./wire/link.ts";

/** What a context needs of the instance it belongs to. */
export interface InstanceServices {
  readonly init: Init;
  readonly config: Readonly<Record<string, unknown>>;
  readonly state: object | null;
  readonly secrets: Secrets;
  readonly log: AgentLog;
  readonly outbox: Outbox;
  readonly commands: CommandGroups;
  /** The turn that runs. */
  readonly turn: Turn | null;
  /** The message of `turn` that has not ended. */
  openMessage(turn: Turn | null): MessageHandle | null;
  /** The message of `turn` that has not ended is now `handle`. */
  setOpenMessage(turn: Turn | null, handle: MessageHandle | null): void;
  /** `handler` is called with steers of `turn`, or of every turn when it is null. */
  addSteerHandler(turn: Turn | null, handler: (text: string) => void | Promise<void>): void;
  /** Waits for the answer to `requestId`, which `begin` asks for. Settled, it is forgotten; the request itself stays. */
  answerTo(requestId: string, signal: AbortSignal, begin: () => void): Promise<AnswerRequest>;
  /** Asks the coordinator. */
  request(method: string, params: Record<string, unknown>): Promise<unknown>;
}

/** Says things in `bound`, or in the turn that runs. `outside` is aborted when work outside turns is to end. */
export class TurnSpeaker implements Speaker {
  readonly #instance: InstanceServices;
  readonly #bound: Turn | null;
  readonly #outside: AbortSignal;
  readonly #loose: UnsettledCall[] = [];

  constructor(instance: InstanceServices, bound: Turn | null, outside: AbortSignal) {
    this.#instance = instance;
    this.#bound = bound;
    this.#outside = outside;
  }

  /** The turn things are said in; null outside turns. */
  get turn(): Turn | null {
    return this.#bound ?? this.#instance.turn;
  }

  get signal(): AbortSignal {
    return this.#bound?.progress.signal ?? this.#outside;
  }

  get unsettled(): UnsettledCall[] {
    return this.turn?.progress.unsettled ?? this.#loose;
  }

  tell<Name extends AgentEventName>(name: Name, content: EventContents[Name], keep?: UnsettledCall): void {
    const { turn } = this;
    if (turn?.progress.over === true) throw new AgentUsageError(`${name}: the turn ${turn.id} is over`);
    if (this.unsettled.length > 0) {
      for (const call of [...this.unsettled]) if (call !== keep && !call.waitsForArguments) call.settle();
    }
    this.#instance.outbox.sendEvent(turn?.messageId ?? "", name, encode(content, name));
  }

  room(): Promise<void> {
    return this.#instance.outbox.room(this.signal);
  }

  async roomEvenCancelled(): Promise<void> {
    if (this.signal.aborted) await nextLoopTurn();
    else await this.room();
  }

  requireRunning(): void {
    this.signal.throwIfAborted();
  }

  /** An event was sent: awaiting what this returns waits for room. */
  sent(): Sent {
    return new Sent(() => this.room());
  }

  /** `promise`, or a rejection when the turn is to end. */
  unlessCancelled<T>(promise: Promise<T>): Promise<T> {
    return unlessAborted(this.signal, promise);
  }

  /**
   * Asks a person and waits. `asked` is what the request's id is made of; `beside` travels with it.
   *
   * @throws AgentUsageError no turn runs.
   */
  async ask<Name extends "tool.permission_requested" | "tool.question_requested">(
    name: Name,
    asked: Omit<PermissionRequested & QuestionRequested, "request_id"> | Record<string, unknown>,
    beside: Record<string, unknown>,
  ): Promise<AnswerRequest> {
    this.requireRunning();
    const { turn } = this;
    if (turn === null) throw new AgentUsageError("questions and permissions belong to a turn; none is running");
    const requestId = turn.requestId({ type: name, ...asked });
    const content = { request_id: requestId, ...asked, ...beside } as unknown as EventContents[Name];
    return this.#instance.answerTo(requestId, this.signal, () => this.tell(name, content));
  }
}
