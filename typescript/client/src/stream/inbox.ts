/** Unread events after which a connection stops taking more; the server keeps the rest, and the stream resumes. */
export const INBOX_MAX_EVENTS = 10_000;

/** Characters of unread events after which it does so too. */
export const INBOX_MAX_CHARS = 16 * 1024 * 1024;

interface Reader<E> {
  resolve(result: IteratorResult<E, undefined>): void;
  reject(error: unknown): void;
}

/**
 * Events that were received and not yet read: a queue with an end. Reading gives events until it is closed, then throws
 * why, if there is a why. Leaving a `for await` does not end it: the next loop goes on where it was left.
 */
export class Inbox<E> implements AsyncIterableIterator<E, undefined> {
  readonly #onRead: (event: E) => void;
  #unread: { readonly event: E; readonly chars: number }[] = [];
  #first = 0;
  #chars = 0;
  #readers: Reader<E>[] = [];
  #end: { readonly error: unknown } | undefined;

  /** @param onRead - told of each event when its reader gets it */
  constructor(onRead: (event: E) => void) {
    this.#onRead = onRead;
  }

  /** Events that wait to be read. */
  get size(): number {
    return this.#unread.length - this.#first;
  }

  /** Whether no more should be put in. */
  get isFull(): boolean {
    return this.size >= INBOX_MAX_EVENTS || this.#chars >= INBOX_MAX_CHARS;
  }

  /** Whether a reader has made enough room to begin again. */
  get hasRoom(): boolean {
    return this.size <= INBOX_MAX_EVENTS / 2 && this.#chars <= INBOX_MAX_CHARS / 2;
  }

  /** Adds an event; `chars`: how long its frame was. */
  put(event: E, chars: number): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      this.#hand(event, reader);
      return;
    }
    this.#unread.push({ event, chars });
    this.#chars += chars;
  }

  /** No more will come: readers get what is left, then the end, or `error`. The first call counts. */
  close(error?: unknown): void {
    this.#end ??= { error };
    for (const reader of this.#readers.splice(0)) this.#finish(reader);
  }

  /** The next event, as soon as there is one. */
  next(): Promise<IteratorResult<E, undefined>> {
    return new Promise((resolve, reject) => {
      const reader = { resolve, reject };
      const found = this.#unread[this.#first];
      if (found !== undefined) {
        this.#forgetFirst(found.chars);
        this.#hand(found.event, reader);
      } else if (this.#end !== undefined) {
        this.#finish(reader);
      } else {
        this.#readers.push(reader);
      }
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #forgetFirst(chars: number): void {
    this.#first += 1;
    this.#chars -= chars;
    // Moving the rest forward once per thousand reads keeps a read cheap and what was read collectable.
    if (this.#first >= 1_000 || this.#first === this.#unread.length) {
      this.#unread = this.#unread.slice(this.#first);
      this.#first = 0;
    }
  }

  #hand(event: E, reader: Reader<E>): void {
    reader.resolve({ done: false, value: event });
    this.#onRead(event);
  }

  #finish(reader: Reader<E>): void {
    if (this.#end?.error === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(this.#end.error);
  }
}
