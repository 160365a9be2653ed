import { factsOfClose, PodiumConnectionError } from "../errors.ts";
import { Heartbeat } from "../resilience/heartbeat.ts";
import type { Timing } from "../resilience/timing.ts";
import type { Connected } from "../wire/events.ts";
import { readFrame, type PodiumEvent } from "./event.ts";
import { withResolvers } from "./outbox.ts";
import type { Closed, Dial, StreamSocket } from "./socket.ts";

/** How long, in milliseconds, the server may take to say `connected`, the way there included. */
export const FIRST_FRAME_MS = 30_000;

/** Version of the stream protocol this client speaks. */
export const PROTOCOL_VERSION = 1;

const HEARTBEAT_ID = "heartbeat";

/** What a line tells its owner. */
export interface LineEvents {
  /** The server has said `connected`. */
  onGreeting(line: Line, info: Connected): void;
  /** A frame behind it; `chars` is how long it was. */
  onEvent(line: Line, event: PodiumEvent, chars: number): void;
}

/** One socket of a stream from its first to its last moment: greeting, frames, heartbeat, end. */
export class Line {
  /** Settles when the server has greeted; rejects with a `PodiumConnectionError` when it does not. */
  readonly greeted: Promise<void>;
  /** How it ended. */
  readonly ended: Promise<Closed>;
  /** Settles when its socket is closed, or two seconds after it was dropped. */
  readonly gone: Promise<void>;
  /** Whether its numbered events are passed over, since there is no room for them: it is there for commands alone. */
  forCommandsOnly: boolean;
  readonly #instanceId: string;
  readonly #socket: StreamSocket;
  readonly #owner: LineEvents;
  readonly #timing: Timing;
  readonly #greeting = withResolvers<void>();
  readonly #ending = withResolvers<Closed>();
  readonly #going = withResolvers<void>();
  #heartbeat: Heartbeat | undefined;
  #isOver = false;
  readonly #cancelGreeting: () => void;

  constructor(dial: Dial, timing: Timing, instanceId: string, after: number | undefined, owner: LineEvents) {
    this.greeted = this.#greeting.promise;
    this.ended = this.#ending.promise;
    this.gone = this.#going.promise;
    this.forCommandsOnly = false;
    this.#instanceId = instanceId;
    this.#owner = owner;
    this.#timing = timing;
    this.#cancelGreeting = timing.after(FIRST_FRAME_MS, () => {
      this.#refuse({ code: "unreachable", detail: `no greeting within ${FIRST_FRAME_MS / 1000} s` });
    });
    try {
      this.#socket = dial(instanceId, after, {
        onFrame: (frame) => this.#take(frame),
        onEnd: (end) => this.#over(end),
      });
    } catch (error) {
      this.#cancelGreeting();
      throw error;
    }
  }

  /** Characters handed over and not yet sent. */
  get buffered(): number {
    return this.#socket.buffered;
  }

  /** Sends a frame. */
  send(frame: string): void {
    this.#socket.send(frame);
  }

  /** Ends it now, as if it had ended like this. */
  drop(end: Closed): void {
    if (this.#isOver) return;
    this.#isOver = true;
    void this.#socket.close().then(this.#going.resolve);
    this.#settle(end);
  }

  #take(frame: string): void {
    if (this.#isOver) return;
    const event = readFrame(frame);
    if (this.#heartbeat === undefined) {
      this.#greet(event);
      return;
    }
    this.#heartbeat.heard();
    // A frame that is no event says nothing we could act on; the next one may.
    if (event === undefined) return;
    if (event.messageType === "pong" && event.content?.["id"] === HEARTBEAT_ID) return;
    this.#owner.onEvent(this, event, frame.length);
  }

  #greet(event: PodiumEvent | undefined): void {
    const info = event?.content as Connected | undefined;
    if (event?.messageType !== "connected" || typeof info?.last_seq !== "number") {
      this.#refuse({ code: "unreachable", detail: "the server did not greet with `connected`" });
      return;
    }
    if (info.protocol !== PROTOCOL_VERSION) {
      this.#refuse({ code: "invalid_request", detail: `the server speaks protocol ${info.protocol}, not ${PROTOCOL_VERSION}` });
      return;
    }
    this.#cancelGreeting();
    this.#heartbeat = new Heartbeat(
      this.#timing,
      () => this.send(JSON.stringify({ type: "ping", id: HEARTBEAT_ID })),
      () => this.drop({ code: undefined, reason: "the server gave no sign of life" }),
    );
    this.#greeting.resolve();
    this.#owner.onGreeting(this, info);
  }

  #refuse(facts: { code: "unreachable" | "invalid_request"; detail: string }): void {
    this.#greeting.reject(new PodiumConnectionError("connect", { ...facts, instanceId: this.#instanceId }));
    this.drop({ code: undefined, reason: facts.detail });
  }

  #over(end: Closed): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#going.resolve();
    this.#settle(end);
  }

  #settle(end: Closed): void {
    this.#cancelGreeting();
    this.#heartbeat?.stop();
    const facts = factsOfClose(end.code, end.reason);
    this.#greeting.reject(new PodiumConnectionError("connect", { ...facts, instanceId: this.#instanceId }));
    this.#ending.resolve(end);
  }
}
