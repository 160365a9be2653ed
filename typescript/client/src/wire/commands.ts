// Made by tools/generate_typescript.py from spec/schema and src/podium/wire; do not edit.

/** Resolves a question or permission; the first answer wins. */
export interface Answer {
  type: "answer";
  content: AnswerContent;
  id?: string | null;
  traceparent?: string | null;
}

/** The answer to a question or permission: exactly one of `option_id`, `answers`, `dismissed`. */
export interface AnswerContent {
  request_id: string;
  option_id?: string | null;
  answers?: Record<string, unknown> | null;
  dismissed?: boolean;
}

/** Ends the running turn. */
export interface Cancel {
  type: "cancel";
  id?: string | null;
  content?: Record<string, unknown> | null;
  traceparent?: string | null;
}

/** Changes to the configuration of this agent, by dotted or nested key. */
export interface ConfigContent {
  changes: Record<string, unknown>;
}

/** Changes the configuration; needs `config:write`. */
export interface ConfigUpdate {
  type: "config_update";
  content: ConfigContent;
  id?: string | null;
  traceparent?: string | null;
}

/** Answered with `pong`. */
export interface Ping {
  type: "ping";
  id?: string | null;
  content?: Record<string, unknown> | null;
}

/**
 * A message for the agent. `content` is `{text, …metadata}`; `messages` and `attachments` ride along. `traceparent`, of
 * this and every other command: the W3C trace context it belongs to; default: that of the connection.
 */
export interface ProcessMessage {
  type: "process_message";
  content: Record<string, unknown>;
  id?: string | null;
  on_busy?: "interrupt" | "queue" | "reject" | "steer";
  messages?: unknown[] | null;
  attachments?: unknown[] | null;
  traceparent?: string | null;
}

/** Reaches the running turn; none running is answered with `no_turn`. */
export interface Steer {
  type: "steer";
  content: SteerContent;
  id?: string | null;
  traceparent?: string | null;
}

/** What the running turn should take into account. */
export interface SteerContent {
  text: string;
}

/** Any of them, told apart by `type`: command. */
export type Command = ProcessMessage | Steer | Cancel | Answer | ConfigUpdate | Ping;

