/** Bytes to and from the coordinator, without waiting: what can't be sent yet is kept, and the sender told to pause. */

import { closeSync, constants, openSync } from "node:fs";
import { basename, dirname } from "node:path";

import { errorMessage, LinkError } from "./errors.ts";
import { deferred, type Deferred } from "./waiting.ts";
import { LINK_AHEAD_MAX_BYTES } from "./wire/limits.ts";

/** A paused sender goes on when no more than this is unsent. */
const RESUME_BYTES = LINK_AHEAD_MAX_BYTES / 4;

/** Linux's `O_PATH`: a descriptor that only names a place. */
const O_PATH = 0o10000000;

/** One end of a link. */
export interface Connection {
  /** Begins to read: `received` gets bytes, `lost` is called once when the peer is gone; not after `close`. */
  listen(received: (data: Uint8Array) => void, lost: () => void): void;
  /** Sends `data`, now or when there is room; what is written after the end is thrown away. */
  write(data: Uint8Array): void;
  /** Bytes the kernel has not taken yet. */
  readonly unsent: number;
  /** Whether more than `LINK_AHEAD_MAX_BYTES` are unsent, or were and most of it has not left yet. */
  readonly behind: boolean;
  /** Resolves when it is not behind any more, or the peer is gone. */
  room(): Promise<void>;
  /** Resolves when nothing is unsent, or the peer is gone. */
  drained(): Promise<void>;
  /** Closes the link; what is unsent is lost. */
  close(): void;
}

/** What is written and not yet taken: the part of a connection that is the same over every transport. */
export class SendQueue {
  #queue: Uint8Array[] = [];
  #size = 0;
  #room: Deferred<void> | null = null;
  #drained: Deferred<void> | null = null;
  #closed = false;
  readonly #send: (data: Uint8Array) => number;

  /** `send` takes what it can of the data and returns how many bytes that was. */
  constructor(send: (data: Uint8Array) => number) {
    this.#send = send;
  }

  /** Bytes waiting. */
  get size(): number {
    return this.#size;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Sends or keeps `data`. */
  write(data: Uint8Array): void {
    if (this.#closed || data.length === 0) return;
    const sent = this.#queue.length === 0 ? this.#send(data) : 0;
    if (sent === data.length || this.#closed) return;
    this.#queue.push(data.subarray(sent));
    this.#size += data.length - sent;
  }

  /** Sends more of what is kept; to be called when the transport takes data again. */
  resume(): void {
    for (let data = this.#queue[0]; data !== undefined && !this.#closed; data = this.#queue[0]) {
      const sent = this.#send(data);
      this.#size -= sent;
      if (sent < data.length) {
        this.#queue[0] = data.subarray(sent);
        break;
      }
      this.#queue.shift();
    }
    this.#tell();
  }

  /** See `Connection.behind`. */
  get behind(): boolean {
    return this.#size > LINK_AHEAD_MAX_BYTES || this.#room !== null;
  }

  /** See `Connection.room`. */
  room(): Promise<void> {
    if (!this.behind) return Promise.resolve();
    this.#room ??= deferred();
    return this.#room.promise;
  }

  /** See `Connection.drained`. */
  drained(): Promise<void> {
    if (this.#size === 0) return Promise.resolve();
    this.#drained ??= deferred();
    return this.#drained.promise;
  }

  /** Throws away what is kept and lets everybody who waits go on. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#size = 0;
    this.#tell();
  }

  #tell(): void {
    if (this.#size <= RESUME_BYTES) {
      this.#room?.resolve();
      this.#room = null;
    }
    if (this.#size === 0) {
      this.#drained?.resolve();
      this.#drained = null;
    }
  }
}

/**
 * Connects to the Unix socket at `path`, which may be longer than an address of a socket can be.
 *
 * @throws LinkError nobody listens there.
 */
export async function connect(path: string): Promise<Connection> {
  let folder: number | null = null;
  try {
    folder = openSync(dirname(path), O_PATH | constants.O_DIRECTORY);
    return await SocketConnection.open(`/proc/self/fd/${folder}/${basename(path)}`);
  } catch (error) {
    throw new LinkError(`nobody listens at ${path}: ${errorMessage(error)}`, { cause: error });
  } finally {
    if (folder !== null) closeSync(folder);
  }
}

/** A connected Unix stream socket. */
class SocketConnection implements Connection {
  #socket: Bun.Socket | null = null;
  #received: ((data: Uint8Array) => void) | null = null;
  #lost: (() => void) | null = null;
  #early: Uint8Array[] = [];
  readonly #queue = new SendQueue((data) => {
    const sent = this.#socket?.write(data) ?? 0;
    return Math.max(sent, 0); // negative: it is closed; `close` will be told
  });

  static async open(path: string): Promise<SocketConnection> {
    const connection = new SocketConnection();
    connection.#socket = await Bun.connect({
      unix: path,
      socket: {
        binaryType: "uint8array",
        data: (_socket, data) => connection.#data(data),
        drain: () => connection.#queue.resume(),
        close: () => connection.#end(),
        error: () => connection.#end(),
      },
    });
    return connection;
  }

  get unsent(): number {
    return this.#queue.size;
  }

  listen(received: (data: Uint8Array) => void, lost: () => void): void {
    this.#received = received;
    this.#lost = lost;
    const early = this.#early;
    this.#early = [];
    for (const data of early) received(data);
    if (this.#queue.closed) lost();
  }

  write(data: Uint8Array): void {
    this.#queue.write(data);
  }

  get behind(): boolean {
    return this.#queue.behind;
  }

  room(): Promise<void> {
    return this.#queue.room();
  }

  drained(): Promise<void> {
    return this.#queue.drained();
  }

  close(): void {
    this.#lost = null;
    this.#queue.close();
    this.#socket?.end();
    this.#socket = null;
  }

  #data(data: Uint8Array): void {
    if (this.#received === null) this.#early.push(data.slice());
    else this.#received(data);
  }

  #end(): void {
    const lost = this.#lost;
    this.#lost = null;
    this.#socket = null;
    this.#queue.close();
    lost?.();
  }
}
