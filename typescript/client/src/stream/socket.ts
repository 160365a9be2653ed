import { apiPath } from "../api/call.ts";
import { PodiumConnectionError } from "../errors.ts";
import type { Timing } from "../resilience/timing.ts";
import type { Settings } from "../settings.ts";

/** How long, in milliseconds, a closing socket waits for the peer's close frame. */
export const CLOSE_MS = 2_000;

/** The end of a socket; without a `code` it broke without a close frame. */
export interface Closed {
  readonly code: number | undefined;
  readonly reason: string;
}

/** What a socket tells its owner. `onEnd` comes once, and nothing after it. */
export interface SocketEvents {
  onFrame(frame: string): void;
  onEnd(end: Closed): void;
}

/** Text frames both ways. */
export interface StreamSocket {
  /** Characters handed over and not yet sent. */
  readonly buffered: number;
  /** Sends a frame; one that is lost because the socket is closing is not reported. */
  send(frame: string): void;
  /** Closes it; its owner hears nothing more. Settles when it is closed, or after two seconds. */
  close(): Promise<void>;
}

/**
 * Opens a socket to an instance's events after `after` (undefined: from now on).
 *
 * @throws PodiumConnectionError it can't even be tried
 */
export type Dial = (instanceId: string, after: number | undefined, events: SocketEvents) => StreamSocket;

/** The part of the standard's `WebSocket` that is used; that of the package `ws` fits too. */
export interface WebSocketLike {
  readonly readyState: number;
  readonly bufferedAmount: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** A class of WebSockets. */
export type WebSocketClass = new (url: string, protocols?: string[]) => WebSocketLike;

const PROTOCOL = "podium.v1";
const BEARER = "podium.bearer.";
const OPEN = 1;
const CLOSED = 3;
const NORMAL = 1000;
const NO_STATUS = 1005;
const ABNORMAL = 1006;
/** Characters of an HTTP token (RFC 9110 §5.6.2): what a subprotocol may be made of. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]*$/;

/** What to tell where {@link webSocketClass} finds none. */
export const NO_WEBSOCKET =
  "this runtime has no WebSocket: use Node 22 or newer, start Node 20 with --experimental-websocket, or give the option WebSocket";

/** The class to open sockets with: the one that is given, else the runtime's, if it has one. */
export function webSocketClass(given: WebSocketClass | undefined): WebSocketClass | undefined {
  return given ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket;
}

/** Opens streams with a `WebSocket` class; the runtime's own unless one is given. The key goes as a subprotocol, never in the URL. */
export function webSocketDial(settings: Settings, timing: Timing, given: WebSocketClass | undefined): Dial {
  return (instanceId, after, events) => {
    const found = webSocketClass(given);
    if (found === undefined) {
      throw new PodiumConnectionError("connect", { code: "invalid_request", detail: NO_WEBSOCKET, instanceId });
    }
    if (!TOKEN.test(settings.apiKey)) {
      // Said here, since the exception of the WebSocket would repeat the key.
      const detail = "the key has characters no key has";
      throw new PodiumConnectionError("connect", { code: "unauthenticated", detail, instanceId });
    }
    const url = settings.url.replace(/^http/, "ws") + apiPath(["instances", instanceId, "connect"], { after });
    const protocols = settings.apiKey === "" ? [PROTOCOL] : [PROTOCOL, BEARER + settings.apiKey];
    return new WebSocketStream(new found(url, protocols), timing, events);
  };
}

/** A `WebSocket` as its owner sees it. */
export class WebSocketStream implements StreamSocket {
  readonly #socket: WebSocketLike;
  readonly #timing: Timing;
  #events: SocketEvents | undefined;
  readonly #closed: Promise<void>;

  constructor(socket: WebSocketLike, timing: Timing, events: SocketEvents) {
    this.#socket = socket;
    this.#timing = timing;
    this.#events = events;
    socket.onmessage = (message: { data: unknown }) => {
      if (typeof message.data === "string") this.#events?.onFrame(message.data);
    };
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
    };
    // What an error was is told to nobody by the standard; the close event that follows decides. Node 20 sends none when a
    // socket can't be opened, so there the error is the end.
    socket.onerror = () => {
      if (!wasOpen) this.#over({ code: undefined, reason: "the socket could not be opened" });
    };
    this.#closed = new Promise((resolve) => {
      socket.onclose = (close: { code: number; reason: string }) => {
        resolve();
        const isBroken = close.code === ABNORMAL || close.code === NO_STATUS;
        this.#over({ code: isBroken ? undefined : close.code, reason: close.reason });
      };
    });
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  send(frame: string): void {
    if (this.#socket.readyState === OPEN) this.#socket.send(frame);
  }

  close(): Promise<void> {
    this.#events = undefined;
    if (this.#socket.readyState === CLOSED) return Promise.resolve();
    this.#socket.close(NORMAL);
    return new Promise((resolve) => {
      const giveUp = this.#timing.after(CLOSE_MS, () => {
        // Not of the standard, but where there is one (Bun, ws) a peer that is gone holds no descriptor.
        (this.#socket as { terminate?: () => void }).terminate?.();
        resolve();
      });
      void this.#closed.then(() => {
        giveUp();
        resolve();
      });
    });
  }

  #over(end: Closed): void {
    const told = this.#events;
    this.#events = undefined;
    told?.onEnd(end);
  }
}
