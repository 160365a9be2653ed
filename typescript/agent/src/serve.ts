/** Serves one agent over its connection: bytes become frames, the first of which makes the instance. */

import type { Connection } from "./connection.ts";
import type { AgentFactory } from "./entry.ts";
import { LinkError, TurnCancelled } from "./errors.ts";
import { FrameBuffer, readToAgent } from "./frames.ts";
import { EXIT_LINK_LOST, Instance } from "./instance.ts";
import { Outbox } from "./outbox.ts";
import { deferred, settledWithin } from "./waiting.ts";

/** How long the last frames may take to leave when the agent ends. */
const FLUSH_MS = 2000;

/** How long cancelled work may take to end when the coordinator is gone. */
const LOST_MS = 200;

/** How an agent is served. */
export interface ServeOptions {
  /** Errors nobody caught, anywhere in the process, go to this agent's log. True for an agent alone in its process. */
  readonly ownsProcess?: boolean;
  /** Told of the instance when `init` has come, before it does anything. */
  readonly made?: (instance: Instance) => void;
}

/**
 * Serves one agent until it ends and closes the connection; returns the exit code: 0 after `shutdown`, 3 when the agent
 * could not be started, 4 when the coordinator went away or broke the protocol.
 */
export async function serve(connection: Connection, factory: AgentFactory, options: ServeOptions = {}): Promise<number> {
  const link = new AgentLink(connection, factory, options);
  const code = await link.ended;
  await link.close(code !== EXIT_LINK_LOST);
  return code;
}

class AgentLink {
  readonly #connection: Connection;
  readonly #factory: AgentFactory;
  readonly #options: ServeOptions;
  readonly #frames = new FrameBuffer();
  readonly #outbox: Outbox;
  readonly #ended = deferred<number>();
  #instance: Instance | null = null;
  #stopListening: () => void = () => undefined;

  constructor(connection: Connection, factory: AgentFactory, options: ServeOptions) {
    this.#connection = connection;
    this.#factory = factory;
    this.#options = options;
    this.#outbox = new Outbox(connection);
    connection.listen(
      (data) => this.#received(data),
      () => this.#lost(),
    );
  }

  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  async close(orderly: boolean): Promise<void> {
    await this.#instance?.close(LOST_MS);
    this.#outbox.flush();
    if (orderly) await settledWithin(FLUSH_MS, this.#connection.drained());
    this.#connection.close();
    this.#stopListening();
  }

  /** Whole frames are acted on at once. A broken one ends the link, and with it the process. */
  #received(data: Uint8Array): void {
    try {
      for (const body of this.#frames.feed(data)) this.#frame(body);
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      this.#instance?.log.failure("the coordinator broke the protocol", error);
      this.#outbox.flush();
      this.#lost();
    }
  }

  #lost(): void {
    if (this.#instance === null) this.#ended.resolve(EXIT_LINK_LOST);
    else this.#instance.linkLost();
  }

  #frame(body: string): void {
    const frame = readToAgent(body);
    if (this.#instance !== null) return this.#instance.frameReceived(frame);
    if (frame.type !== "init") throw new LinkError("the first frame must be init");
    const instance = new Instance(frame, this.#factory, this.#outbox);
    this.#instance = instance;
    void instance.ended.then(this.#ended.resolve);
    if (this.#options.ownsProcess === true) this.#stopListening = logUncaught(instance);
    this.#options.made?.(instance);
    instance.start();
  }
}

/** Errors nobody caught go to the log; the agent lives on. Returns what ends this. */
function logUncaught(instance: Instance): () => void {
  const rejected = (error: unknown): void => {
    if (!(error instanceof TurnCancelled)) instance.log.failure("a promise was rejected and nobody looked", error);
  };
  const thrown = (error: unknown): void => instance.log.failure("an exception nobody caught", error);
  process.on("unhandledRejection", rejected);
  process.on("uncaughtException", thrown);
  return () => {
    process.off("unhandledRejection", rejected);
    process.off("uncaughtException", thrown);
  };
}
