// Made by tools/generate_typescript.py from spec/schema and src/diminuendo/protocol; do not edit.

import type { PermissionRequested, QuestionRequested, SessionEvent } from "./events.ts";

/** What was asked for is done, or on its way. `turnId`: the turn a `run_turn` became; its message is durable. */
export interface Ack {
  type: "ack";
  requestId?: string;
  turnId?: string;
}

/** The token is good. */
export interface Authenticated {
  type: "authenticated";
  requestId?: string;
  identity: Identity;
}

/** The second. `ts` is epoch milliseconds. */
export interface Connected {
  type: "connected";
  clientId: string;
  heartbeatIntervalMs: number;
  ts: number;
}

/** Something can't be done; only this connection hears it. `code` is one of `diminuendo.protocol.errors.Code`. */
export interface ErrorMessage {
  type: "error";
  requestId?: string;
  code: string;
  message: string;
  retryAfterMs?: number;
}

/** A page of events, oldest first, as they were sent. `hasMore`: there is something behind it. */
export interface Events {
  type: "events";
  requestId?: string;
  sessionId: string;
  events: SessionEvent[];
  lastSeq: number;
  hasMore: boolean;
}

/** A file, or an earlier version of it. `encoding` is `utf-8` or `base64`. */
export interface FileContent {
  type: "file_content";
  requestId?: string;
  sessionId: string;
  path: string;
  content: string;
  encoding: string;
  iteration: number | null;
}

/** Files of the workspace, as Podium describes them. */
export interface FileList {
  type: "file_list";
  requestId?: string;
  sessionId: string;
  files: Record<string, unknown>[];
}

/** The versions of a file, as Podium describes them. */
export interface FileVersions {
  type: "file_history";
  requestId?: string;
  sessionId: string;
  path: string;
  versions: Record<string, unknown>[];
}

/** Every 30 seconds. `ts` is epoch milliseconds. */
export interface Heartbeat {
  type: "heartbeat";
  ts: number;
}

/** A page of the conversation, oldest first. `hasMore`: there is something before it. */
export interface History {
  type: "history";
  requestId?: string;
  sessionId: string;
  messages: HistoryMessage[];
  hasMore: boolean;
}

/** One message of the conversation. `role` is `user` or `assistant`; `stopReason` is null for a person's message. */
export interface HistoryMessage {
  position: number;
  role: string;
  text: string;
  turnId: string | null;
  ts: number;
  stopReason: string | null;
}

/** Who a client is. `email` is empty where nobody told. */
export interface Identity {
  userId: string;
  email: string;
  tenantId: string;
  role: string;
}

/** A member of the tenant. */
export interface Member {
  userId: string;
  role: string;
}

/** The members of the tenant, after the change. */
export interface MemberList {
  type: "member_list";
  requestId?: string;
  members: Member[];
}

/** The answer to `ping`. `ts` is epoch milliseconds. */
export interface Pong {
  type: "pong";
  requestId?: string;
  ts: number;
}

/** There is a new session. */
export interface SessionCreated {
  type: "session_created";
  requestId?: string;
  session: SessionInfo;
}

/** A session is gone. */
export interface SessionDeleted {
  type: "session_deleted";
  requestId?: string;
  sessionId: string;
}

/** A session as clients see it. Times are epoch milliseconds. */
export interface SessionInfo {
  sessionId: string;
  agentType: string;
  agentId: string;
  name: string;
  state: string;
  archived: boolean;
  createdBy: string;
  createdAt: number;
  updatedAt: number;
  metadata: Record<string, unknown>;
}

/**
 * The tenant's sessions, the one changed last first; at most 1,000, and 512 KiB. `hasMore`: there are others; not
 * there, when these were all.
 */
export interface SessionList {
  type: "session_list";
  requestId?: string;
  sessions: SessionInfo[];
  hasMore?: boolean;
}

/** A session was renamed, archived or taken back from the archive. */
export interface SessionUpdated {
  type: "session_updated";
  requestId?: string;
  session: SessionInfo;
}

/** A session as it is: the newest of its conversation, the number of its last event, what waits for an answer. */
export interface StateSnapshot {
  type: "state_snapshot";
  requestId?: string;
  session: SessionInfo;
  recentHistory: HistoryMessage[];
  lastSeq: number;
  pending: (QuestionRequested | PermissionRequested)[];
}

/** The first message of a connection. */
export interface Welcome {
  type: "welcome";
  protocolVersion: number;
  requiresAuth: boolean;
}

/** Any of them, told apart by `type`. */
export type ServerMessage =
  | Welcome
  | Connected
  | Authenticated
  | ErrorMessage
  | Heartbeat
  | Pong
  | Ack
  | SessionList
  | SessionCreated
  | SessionUpdated
  | SessionDeleted
  | StateSnapshot
  | History
  | Events
  | FileList
  | FileContent
  | FileVersions
  | MemberList;
