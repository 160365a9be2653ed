// Made by tools/generate_typescript.py from spec/schema and src/podium/wire; do not edit.

/** The resolution of a question or permission the agent asked. */
export interface AnswerRequest {
  type: "answer";
  request_id: string;
  outcome: string;
  option_id?: string | null;
  answers?: Record<string, unknown> | null;
}

/** The running turn is to end; the agent answers with `complete {stop_reason: "cancelled"}`. */
export interface CancelTurn {
  type: "cancel";
  turn_id: string;
}

/** The turn is over. */
export interface Complete {
  type: "complete";
  message_id: string;
  stop_reason: "cancelled" | "end_turn" | "error" | "max_tokens" | "refusal";
}

/** The configuration changed; `source` is `runtime` or `client`. `config` is the whole after the change. */
export interface ConfigChanged {
  type: "config_update";
  changes: Record<string, unknown>;
  config: Record<string, unknown>;
  source: string;
}

/** One change of the state: `version` is the number after it, one more than before; `ops` is JSON Patch (RFC 6902). */
export interface Delta {
  version: number;
  ops: unknown;
}

/** One event an agent emits: canonical name and content as JSON (`{}` when there is none). */
export interface Element {
  type: string;
  content: unknown;
}

/** The turn ended with an exception (or, with an empty `message_id`, `on_init` did). */
export interface Failed {
  type: "failed";
  message_id: string;
  error: TurnError;
}

/** May the agent be put to sleep? Answered with `idle_reply`. */
export interface IdleCheck {
  type: "idle_check";
}

/** Whether sleep is allowed now. */
export interface IdleReply {
  type: "idle_reply";
  allow: boolean;
}

/**
 * First frame. The agent builds its state (migrating when the stored version is lower), runs `on_init`, answers
 * `ready`. `state` is null for a new agent. `state_schema` is the `_version` the stored state was written with.
 */
export interface Init {
  type: "init";
  protocol: number;
  agent_id: string;
  instance_id: string;
  agent_type: string;
  deployment_id: string;
  workspace: string;
  config: Record<string, unknown>;
  secrets: Record<string, string>;
  state: Record<string, unknown> | null;
  state_version: number;
  state_schema: number | null;
  turn?: TurnInfo | null;
}

/** Is the loop alive? Answered with `pong`. */
export interface LinkPing {
  type: "ping";
  nonce: number;
}

/** Answer to `ping`. */
export interface LinkPong {
  type: "pong";
  nonce: number;
}

/** A structured log record; `timestamp` is epoch milliseconds, `fields` whatever was given with it. */
export interface Log {
  type: "log";
  level: "critical" | "debug" | "error" | "info" | "warning";
  message: string;
  module: string;
  timestamp: number;
  fields?: Record<string, unknown> | null;
}

/**
 * One user message: starts a turn. `data` is `{text, role, attachments?, messages?, …metadata}`. `traceparent`: the W3C
 * trace context of the turn, when it has one; what the agent does in the turn belongs below it.
 */
export interface Message {
  type: "message";
  id: string;
  turn_id: string;
  data: Record<string, unknown>;
  origin: Origin;
  attempt: number;
  traceparent?: string;
}

/** Where a message came from. */
export interface Origin {
  tenant_id: string;
  role?: string;
  channel?: string;
}

/** `on_init` has returned. `state_schema` and `entity_type` describe the state class, if there is one. */
export interface Ready {
  type: "ready";
  protocol: number;
  state_schema?: number | null;
  entity_type?: string | null;
}

/** The agent asks the coordinator (`messages`, `checkpoint`, `history`, `restore`); answered by `response`. */
export interface Request {
  type: "request";
  id: number;
  method: string;
  params: Record<string, unknown>;
}

/** Answer to a `request` of the agent: `result`, or `error` with what went wrong. */
export interface Response {
  type: "response";
  id: number;
  result?: unknown;
  error?: string | null;
}

/** The agent is to run `on_shutdown` and end. `reason`: `stop`, `idle`, `restart`, `drain`. */
export interface Shutdown {
  type: "shutdown";
  reason: string;
}

/** Changes of the state, in order. */
export interface StateDelta {
  type: "state_delta";
  deltas: Delta[];
}

/** The whole state: the first one of a new agent, or the result of a migration. `version` as in `Delta`. */
export interface StateReplaced {
  type: "state_replaced";
  version: number;
  state_schema: number;
  data: unknown;
}

/** Text for the running turn. */
export interface SteerTurn {
  type: "steer";
  turn_id: string;
  text: string;
}

/** An event of a turn. `message_id` names the user message the turn answers; empty outside a turn. */
export interface StreamUpdate {
  type: "stream_update";
  message_id: string;
  element: Element;
}

/** An uncaught exception: its type's name and message; the traceback went to the log. */
export interface TurnError {
  type: string;
  message: string;
}

/** A turn that was running when the last process died; its message follows with the higher attempt. */
export interface TurnInfo {
  id: string;
  attempt: number;
  message_id: string;
}

/** Any of them, told apart by `type`: to_agent. */
export type ToAgent =
  | Init
  | Message
  | SteerTurn
  | CancelTurn
  | AnswerRequest
  | ConfigChanged
  | IdleCheck
  | Shutdown
  | LinkPing
  | Response;

/** Any of them, told apart by `type`: from_agent. */
export type FromAgent =
  | Ready
  | StreamUpdate
  | StateDelta
  | StateReplaced
  | Log
  | Request
  | IdleReply
  | Complete
  | Failed
  | LinkPong;

/** Version of the agent link, told in `init` and `ready`. */
export const LINK_PROTOCOL = 1;
