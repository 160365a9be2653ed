/** A link without sockets: two connections of which one gets what the other is given. */

import type { Connection } from "../connection.ts";

/** Both ends of a link in memory. Bytes arrive in a later turn of the loop, as they do over a socket. */
export function memoryLink(): [Connection, Connection] {
  const here = new MemoryConnection();
  const there = new MemoryConnection();
  here.meet(there);
  there.meet(here);
  return [here, there];
}

class MemoryConnection implements Connection {
  #peer: MemoryConnection | null = null;
  #received: ((data: Uint8Array) => void) | null = null;
  #lost: (() => void) | null = null;
  #arrived: (Uint8Array | null)[] = [];
  #scheduled = false;
  #closed = false;

  meet(peer: MemoryConnection): void {
    this.#peer = peer;
  }

  get unsent(): number {
    return 0;
  }

  listen(received: (data: Uint8Array) => void, lost: () => void): void {
    this.#received = received;
    this.#lost = lost;
    this.#schedule();
  }

  write(data: Uint8Array): void {
    if (!this.#closed) this.#peer?.arrive(data);
  }

  get behind(): boolean {
    return false;
  }

  async room(): Promise<void> {}

  async drained(): Promise<void> {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#lost = null;
    this.#peer?.arrive(null);
  }

  /** Bytes of the peer, null for its end. */
  arrive(data: Uint8Array | null): void {
    this.#arrived.push(data);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#received === null || this.#arrived.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    const arrived = this.#arrived;
    this.#arrived = [];
    for (const data of arrived) {
      if (this.#closed) return;
      if (data !== null) this.#received?.(data);
      else this.#end();
    }
  }

  #end(): void {
    this.#closed = true;
    this.#lost?.();
    this.#lost = null;
  }
}
