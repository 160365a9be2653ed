// Made by tools/generate_typescript.py from spec/schema and src/diminuendo/protocol; do not edit.

/** The answer to a question or permission: exactly one of `optionId`, `answers`, `dismissed`. */
export interface AnswerQuestion {
  type: "answer_question";
  sessionId: string;
  requestId: string;
  optionId?: string | null;
  answers?: Record<string, unknown> | null;
  dismissed?: boolean;
}

/** Stops its instance and takes it out of the list; answered by `session_updated`. */
export interface ArchiveSession {
  type: "archive_session";
  sessionId: string;
  requestId?: string;
}

/** Who the client is: an API key or a JWT. `protocolVersion` is the one it wants to speak. */
export interface Authenticate {
  type: "authenticate";
  token: string;
  protocolVersion?: number;
  requestId?: string;
}

/** Answered by `session_created`; nothing runs yet. `metadata` goes along with every message to the agent. */
export interface CreateSession {
  type: "create_session";
  agentType: string;
  name?: string | null;
  metadata?: Record<string, unknown> | null;
  requestId?: string;
}

/** Stops its instance and removes what is kept of it here; answered by `session_deleted`. */
export interface DeleteSession {
  type: "delete_session";
  sessionId: string;
  requestId?: string;
}

/** Answered by `file_content`. */
export interface FileAtIteration {
  type: "file_at_iteration";
  sessionId: string;
  path: string;
  iteration: number;
  requestId?: string;
}

/** Answered by `file_history`. */
export interface FileHistory {
  type: "file_history";
  sessionId: string;
  path: string;
  requestId?: string;
}

/** The first `limit` events after `afterSeq`; answered by `events`. */
export interface GetEvents {
  type: "get_events";
  sessionId: string;
  afterSeq: number;
  limit?: number;
  requestId?: string;
}

/** The newest `limit` messages before position `before` (not given: all); answered by `history`. */
export interface GetHistory {
  type: "get_history";
  sessionId: string;
  before?: number | null;
  limit?: number;
  requestId?: string;
}

/** Answered by `state_snapshot`; then come the events after `afterSeq`, if given, and those that happen. */
export interface JoinSession {
  type: "join_session";
  sessionId: string;
  afterSeq?: number | null;
  requestId?: string;
}

/** No more events of it on this connection; answered by `ack`. */
export interface LeaveSession {
  type: "leave_session";
  sessionId: string;
  requestId?: string;
}

/** Answered by `file_list`. */
export interface ListFiles {
  type: "list_files";
  sessionId: string;
  path?: string | null;
  depth?: number | null;
  requestId?: string;
}

/** Answered by `session_list`. `offset`: how many of the newest to leave out, for the pages after the first. */
export interface ListSessions {
  type: "list_sessions";
  includeArchived?: boolean;
  offset?: number;
  requestId?: string;
}

/** Members of the tenant: `list` them, `set` the `role` of `userId`, `remove` him. Answered by `member_list`. */
export interface ManageMembers {
  type: "manage_members";
  action: "list" | "remove" | "set";
  userId?: string | null;
  role?: "admin" | "member" | "owner" | "viewer" | null;
  requestId?: string;
}

/** Answered by `pong`. */
export interface Ping {
  type: "ping";
  requestId?: string;
}

/** Answered by `file_content`. */
export interface ReadFile {
  type: "read_file";
  sessionId: string;
  path: string;
  requestId?: string;
}

/** Answered by `session_updated`. */
export interface RenameSession {
  type: "rename_session";
  sessionId: string;
  name: string;
  requestId?: string;
}

/**
 * A message for the agent; answered by `ack` with its `turnId`. The same `clientTurnId` in the same session is done
 * once. `metadata` goes along with it, over that of the session.
 */
export interface RunTurn {
  type: "run_turn";
  sessionId: string;
  text: string;
  clientTurnId?: string | null;
  metadata?: Record<string, unknown> | null;
  requestId?: string;
}

/** Something the running turn should take into account; answered by `ack`. */
export interface Steer {
  type: "steer";
  sessionId: string;
  text: string;
  requestId?: string;
}

/** Cancels the running turn; answered by `ack`. */
export interface StopTurn {
  type: "stop_turn";
  sessionId: string;
  requestId?: string;
}

/** Answered by `session_updated`. */
export interface UnarchiveSession {
  type: "unarchive_session";
  sessionId: string;
  requestId?: string;
}

/** Any of them, told apart by `type`. */
export type ClientMessage =
  | Authenticate
  | ListSessions
  | CreateSession
  | RenameSession
  | ArchiveSession
  | UnarchiveSession
  | DeleteSession
  | JoinSession
  | LeaveSession
  | RunTurn
  | StopTurn
  | Steer
  | AnswerQuestion
  | GetHistory
  | GetEvents
  | Ping
  | ListFiles
  | ReadFile
  | FileHistory
  | FileAtIteration
  | ManageMembers;
