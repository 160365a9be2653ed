/** Framing of the agent link: a 4-byte little-endian length and that many bytes of JSON. */

import { converted, SchemaError } from "./schema.ts";
import { errorMessage, LinkError } from "./errors.ts";
import { LINK_FRAME_MAX_BYTES } from "./wire/limits.ts";
import type { ToAgent } from "./wire/link.ts";
import { FRAME_DEFINITIONS, FRAME_SCHEMAS } from "./wire/schemas.ts";

const LENGTH_BYTES = 4;
const FIRST_CAPACITY = 4096;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Frames whose JSON is `bodies`, one after the other. `bytes` is the length of all bodies in UTF-8. */
export function packed(bodies: readonly string[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes + LENGTH_BYTES * bodies.length);
  const view = new DataView(whole.buffer);
  let at = 0;
  for (const body of bodies) {
    const { written } = encoder.encodeInto(body, whole.subarray(at + LENGTH_BYTES));
    view.setUint32(at, written, true);
    at += LENGTH_BYTES + written;
  }
  return whole.subarray(0, at);
}

/** Takes bytes as they come and gives whole frames (their JSON); keeps what is still incomplete. */
export class FrameBuffer {
  #held = new Uint8Array(0);
  #size = 0;

  /**
   * The frames completed by `data`, in order.
   *
   * @throws LinkError a frame announces more bytes than a frame may have, or is no UTF-8.
   */
  feed(data: Uint8Array): string[] {
    this.#keep(data);
    const frames: string[] = [];
    const view = new DataView(this.#held.buffer, this.#held.byteOffset, this.#size);
    let at = 0;
    while (this.#size - at >= LENGTH_BYTES) {
      const length = view.getUint32(at, true);
      if (length > LINK_FRAME_MAX_BYTES) throw new LinkError(`the peer announces a frame of ${length} bytes`);
      const end = at + LENGTH_BYTES + length;
      if (end > this.#size) break;
      frames.push(text(this.#held.subarray(at + LENGTH_BYTES, end)));
      at = end;
    }
    this.#size -= at;
    if (this.#size === 0) this.#held = new Uint8Array(0);
    else if (at > 0) this.#held.copyWithin(0, at, at + this.#size);
    return frames;
  }

  #keep(data: Uint8Array): void {
    const size = this.#size + data.length;
    if (size > this.#held.length) {
      const larger = new Uint8Array(Math.max(size, Math.min(2 * this.#held.length, LINK_FRAME_MAX_BYTES), FIRST_CAPACITY));
      larger.set(this.#held.subarray(0, this.#size));
      this.#held = larger;
    }
    this.#held.set(data, this.#size);
    this.#size = size;
  }
}

/**
 * A frame the coordinator sent.
 *
 * @throws LinkError it is no frame of the link.
 */
export function readToAgent(body: string): ToAgent {
  try {
    const frame: unknown = JSON.parse(body);
    const kind = frame !== null && typeof frame === "object" && "type" in frame ? String(frame.type) : "";
    const schema = FRAME_SCHEMAS[kind];
    if (schema === undefined) throw new SchemaError(`there is no frame ${JSON.stringify(kind)}`);
    return converted(frame, schema, FRAME_DEFINITIONS) as ToAgent;
  } catch (error) {
    throw new LinkError(`the coordinator sent no valid frame: ${errorMessage(error)}`, { cause: error });
  }
}

function text(body: Uint8Array): string {
  try {
    return decoder.decode(body);
  } catch (error) {
    throw new LinkError("the peer sent a frame that is no UTF-8", { cause: error });
  }
}
