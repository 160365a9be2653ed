/**
 * Client of Diminuendo's protocol: sessions with agents, for browsers, Bun and Node.
 *
 * @packageDocumentation
 */

export type { CallOptions } from "../api/call.ts";
export { systemTiming, type Timing } from "../resilience/timing.ts";
export type { WebSocketClass, WebSocketLike } from "../stream/socket.ts";
export { DEFAULT_SESSIONS_URL } from "./address.ts";
export { SessionClient, type CreateSessionOptions, type SessionClientOptions, type StatusChange } from "./client.ts";
export { SessionError, type SessionErrorCode, type SessionErrorFacts } from "./errors.ts";
export type { Status, Token } from "./link.ts";
export type { RequestOptions } from "./requests.ts";
export type { JoinOptions } from "./seat.ts";
export { Session, type AcceptedTurn, type Answer, type TurnOptions } from "./session.ts";
export type * from "./wire/answers.ts";
export type * from "./wire/events.ts";
export type { ProtocolCode } from "./wire/limits.ts";
export type * from "./wire/messages.ts";
