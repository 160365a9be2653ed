/** One server-sent event (WHATWG HTML §9.2). */
export interface ServerSentEvent {
  readonly data: string;
  readonly id: string;
  readonly event: string;
}

/** Takes text in any pieces, gives whole events. Comments, unknown fields and events without data give none. */
export class SseReader {
  #held = "";
  #data: string[] = [];
  #event = "";
  #id = "";

  /** The events that `text` completes. */
  feed(text: string): ServerSentEvent[] {
    const lines = (this.#held + text).split("\n");
    this.#held = lines.pop() ?? "";
    return lines.map((line) => this.#line(line.replace(/\r$/, ""))).filter((event) => event !== undefined);
  }

  #line(line: string): ServerSentEvent | undefined {
    if (line === "") return this.#complete();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    return undefined;
  }

  #complete(): ServerSentEvent | undefined {
    const [data, event] = [this.#data, this.#event || "message"];
    this.#data = [];
    this.#event = "";
    return data.length === 0 ? undefined : { data: data.join("\n"), id: this.#id, event };
  }
}

/** The events of an answer. Leaving the loop ends the request. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const events = new SseReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* events.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
