import { SessionClient, type SessionClientOptions, type SessionEvent } from "../../src/sessions/index.ts";
import type { WebSocketLike } from "../../src/stream/socket.ts";
import { VirtualTime } from "../virtual_time.ts";

/** The session all tests speak of. */
export const SESSION = "ses-a";

/** Who the server says we are. */
export const IDENTITY = { userId: "ada", email: "", tenantId: "acme", role: "member" };

/** A message as a test reads it. */
export type Message = Record<string, any>;

/** One socket, from the server's side. */
export class FakeSocket implements WebSocketLike {
  readonly url: string;
  /** What the client sent. */
  readonly sent: Message[] = [];
  readyState = 0;
  bufferedAmount = 0;
  onopen: ((event: unknown) => void) | null = null;
  onmessage: ((event: unknown) => void) | null = null;
  onclose: ((event: unknown) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  /** Told of each message of the client. */
  heard: (message: Message) => void = () => undefined;

  constructor(url: string) {
    this.url = url;
  }

  send(data: string): void {
    const message = JSON.parse(data) as Message;
    this.sent.push(message);
    queueMicrotask(() => this.heard(message));
  }

  close(): void {
    this.end(1000);
  }

  /** The client's messages of one type. */
  of(type: string): Message[] {
    return this.sent.filter((message) => message["type"] === type);
  }

  say(type: string, fields: Message = {}): void {
    if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify({ type, ...fields }) });
  }

  /** Answers the newest message of a type. */
  answer(asked: string, type: string, fields: Message = {}): void {
    this.say(type, { ...fields, requestId: this.of(asked).at(-1)?.["requestId"] });
  }

  welcome(requiresAuth = true, protocolVersion = 1): void {
    this.readyState = 1;
    this.onopen?.({});
    this.say("welcome", { protocolVersion, requiresAuth });
    this.say("connected", { clientId: "c", heartbeatIntervalMs: 30_000, ts: 1 });
    if (!requiresAuth) this.say("authenticated", { identity: IDENTITY });
  }

  /** Events with these numbers. */
  count(...numbers: number[]): void {
    for (const seq of numbers) this.event("text_delta", seq, { text: `${seq}` });
  }

  event(type: string, seq: number, fields: Message = {}): void {
    this.say(type, { sessionId: SESSION, turnId: "turn-x", ts: 1, seq, ...fields });
  }

  /** The session as it is, in answer to the newest join. */
  snapshot(lastSeq: number, fields: Message = {}): void {
    this.answer("join_session", "state_snapshot", { session: info(), recentHistory: [], lastSeq, pending: [], ...fields });
  }

  end(code = 1006, reason = ""): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

/** A session's data. */
export function info(fields: Message = {}): Message {
  const times = { createdAt: 1, updatedAt: 1 };
  return { sessionId: SESSION, agentType: "echo", agentId: SESSION, name: "", state: "inactive", archived: false, createdBy: "ada", ...times, metadata: {}, ...fields };
}

/** A server that sockets are opened to, in virtual time. */
export class FakeServer {
  readonly time = new VirtualTime(1);
  readonly sockets: FakeSocket[] = [];
  /** What it does with a new socket: lets it in unless told otherwise. */
  prepare: (socket: FakeSocket) => void = (socket) => this.letIn(socket);

  /** Welcomes, and takes any token. */
  letIn(socket: FakeSocket): void {
    socket.heard = (message) => {
      if (message["type"] === "authenticate") socket.say("authenticated", { identity: IDENTITY });
    };
    socket.welcome();
  }

  /** A client of it that has not begun. */
  client(options: SessionClientOptions = {}): SessionClient {
    const opened = (socket: FakeSocket): void => {
      this.sockets.push(socket);
      queueMicrotask(() => this.prepare(socket));
    };
    class Socket extends FakeSocket {
      constructor(url: string) {
        super(url);
        opened(this);
      }
    }
    return new SessionClient({ token: "pod_x", ...options, WebSocket: Socket, timing: this.time });
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }
}

/** The texts of the next events. */
export async function texts(events: AsyncIterator<SessionEvent>, count: number): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) {
    const { value } = await events.next();
    if (value === undefined) break;
    found.push("text" in value ? value.text : value.type);
  }
  return found;
}
