import { PodiumConnection } from "../src/stream/connection.ts";
import type { PodiumEvent } from "../src/stream/event.ts";
import type { Closed, SocketEvents, StreamSocket } from "../src/stream/socket.ts";
import { settle, VirtualTime } from "./virtual_time.ts";

/** The instance all fakes speak of. */
export const INSTANCE = "inst-aaaaaaaaaaaaaaaa";

/** One socket, from the server's side: what the client sent, and what it shall be told. */
export class FakeSocket implements StreamSocket {
  readonly sent: Record<string, unknown>[] = [];
  buffered = 0;
  isClosed = false;
  readonly #events: SocketEvents;

  constructor(events: SocketEvents) {
    this.#events = events;
  }

  send(frame: string): void {
    this.sent.push(JSON.parse(frame) as Record<string, unknown>);
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  /** Sends a frame as it is. */
  frame(text: string): void {
    if (!this.isClosed) this.#events.onFrame(text);
  }

  say(messageType: string, content?: Record<string, unknown>, seq?: number): void {
    this.frame(JSON.stringify({ messageType, content, seq }));
  }

  /** Events with these numbers. */
  count(...numbers: number[]): void {
    for (const seq of numbers) this.say("stream_update", { text: `${seq}` }, seq);
  }

  greet(lastSeq = 0, protocol = 1): void {
    this.say("connected", { protocol, instance_id: INSTANCE, agent_id: "a", deployment_id: "d:1.0.0@0", status: "ready", last_seq: lastSeq });
  }

  end(code?: number, reason = ""): void {
    const end: Closed = { code, reason };
    if (!this.isClosed) this.#events.onEnd(end);
    this.isClosed = true;
  }
}

/** A server that sockets are dialled to, in virtual time. */
export class FakeServer {
  readonly time = new VirtualTime(1);
  /** The `after` of each dial. */
  readonly dialled: (number | undefined)[] = [];
  readonly sockets: FakeSocket[] = [];
  /** What it does with a new socket; greets unless told otherwise. */
  prepare: (socket: FakeSocket) => void = (socket) => socket.greet();

  /** A connection to it that is not open yet. */
  connection(after?: number): PodiumConnection {
    const dial = (_: string, from: number | undefined, events: SocketEvents): FakeSocket => {
      this.dialled.push(from);
      const socket = new FakeSocket(events);
      this.sockets.push(socket);
      queueMicrotask(() => this.prepare(socket));
      return socket;
    };
    return new PodiumConnection(dial, this.time, INSTANCE, after);
  }

  /** An open connection to it. */
  async open(after?: number): Promise<PodiumConnection> {
    const connection = await this.connection(after).open();
    await settle();
    return connection;
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }
}

/** Reads this many events. */
export async function read(connection: PodiumConnection, count: number): Promise<PodiumEvent[]> {
  const events: PodiumEvent[] = [];
  while (events.length < count) {
    const next = await connection.events.next();
    if (next.done === true) break;
    events.push(next.value);
  }
  return events;
}

/** What a promise fails with. */
export function failure(promise: Promise<unknown>): Promise<any> {
  return promise.then(
    (value) => Promise.reject(new Error(`succeeded with ${JSON.stringify(value)}`)),
    (error: unknown) => error,
  );
}
