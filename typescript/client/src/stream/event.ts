import { ALIASES, type EventContents, type EventName } from "../wire/events.ts";

/** One StreamUpdate as a client sees it. */
export interface PodiumEvent {
  /** The event's name as it was sent; see {@link kindOf}. */
  readonly messageType: string;
  /** What the event says; absent when there is nothing. */
  readonly content?: Record<string, unknown>;
  readonly agentId?: string;
  readonly instanceId?: string;
  readonly turnId?: string;
  /** Counts per agent from 1 without gaps; 0 marks a frame that belongs to this connection alone. */
  readonly seq: number;
  /** Epoch milliseconds; 0 when the frame has none. */
  readonly ts: number;
}

/** The canonical name of an event (`stream_start` for `created`); a name that is no alias is returned as it is. */
export function kindOf(event: PodiumEvent): string {
  return Object.hasOwn(ALIASES, event.messageType) ? (ALIASES[event.messageType] ?? event.messageType) : event.messageType;
}

/**
 * Whether an event is of this kind, by its canonical name; its content has that kind's type then.
 *
 * ```ts
 * if (isKind(event, "stream_update")) process.stdout.write(event.content.text);
 * ```
 */
export function isKind<K extends EventName>(
  event: PodiumEvent,
  kind: K,
): event is PodiumEvent & { readonly content: EventContents[K] & Record<string, unknown> } {
  return kindOf(event) === kind && event.content !== undefined;
}

/** `content.text`, or the empty string. */
export function textOf(event: PodiumEvent): string {
  const text = event.content?.["text"];
  return typeof text === "string" ? text : "";
}

/** Reads a frame of the stream; undefined when it is no JSON, or no envelope. */
export function readFrame(frame: string): PodiumEvent | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(frame);
  } catch {
    return undefined;
  }
  if (!isObject(parsed) || typeof parsed["messageType"] !== "string") return undefined;
  const { messageType, content, agentId, instanceId, turnId, seq, ts } = parsed;
  return {
    messageType,
    ...(isObject(content) ? { content } : {}),
    ...(typeof agentId === "string" ? { agentId } : {}),
    ...(typeof instanceId === "string" ? { instanceId } : {}),
    ...(typeof turnId === "string" ? { turnId } : {}),
    seq: typeof seq === "number" ? seq : 0,
    ts: typeof ts === "number" ? ts : 0,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
