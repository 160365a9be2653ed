// Made by tools/generate_typescript.py from spec/schema and src/diminuendo/protocol; do not edit.

/** A question or permission was resolved, by whomever. */
export interface ApprovalResolved {
  type: "approval_resolved";
  requestId: string;
  outcome: "answered" | "cancelled" | "dismissed" | "expired" | "selected";
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** One way to answer a permission. `kind` is null when the agent did not say what the option means. */
export interface PermissionOption {
  optionId: string;
  name: string;
  kind: "allow_always" | "allow_once" | "reject_always" | "reject_once" | null;
}

/** The agent wants leave to act; answered by `answer_question` with an `optionId`. */
export interface PermissionRequested {
  type: "permission_requested";
  requestId: string;
  toolCallId: string | null;
  toolName: string;
  args: unknown;
  options: PermissionOption[];
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** One question put to a person; without `options` the answer is free text. */
export interface Question {
  id: string;
  question: string;
  options: string[] | null;
  multiple: boolean;
}

/** The agent asks; answered by `answer_question`. */
export interface QuestionRequested {
  type: "question_requested";
  requestId: string;
  questions: Question[];
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** The place the agent runs in is being made; `message` says how far it is. */
export interface SandboxProvisioning {
  type: "sandbox_provisioning";
  message: string;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** The place the agent runs in is ready. */
export interface SandboxReady {
  type: "sandbox_ready";
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** The place the agent ran in is gone. */
export interface SandboxRemoved {
  type: "sandbox_removed";
  reason: string;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** The session is now in `state`: a `SessionState`, or `terminated` when the agent's process ended. */
export interface SessionStateChanged {
  type: "session_state";
  state: string;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** A command ended; `exitCode` is null when a signal ended it. */
export interface TerminalComplete {
  type: "terminal_complete";
  terminalId: string;
  exitCode: number | null;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** Output of a command. `stream` is `stdout` or `stderr`. */
export interface TerminalStream {
  type: "terminal_stream";
  terminalId: string;
  data: string;
  stream: string;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** Text to append to the answer. */
export interface TextDelta {
  type: "text_delta";
  text: string;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** The reasoning is over. */
export interface ThinkingComplete {
  type: "thinking_complete";
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** Text to append to the reasoning; never empty. */
export interface ThinkingProgress {
  type: "thinking_progress";
  text: string;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** The agent begins to reason. */
export interface ThinkingStart {
  type: "thinking_start";
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** A tool call with its whole arguments. */
export interface ToolCall {
  type: "tool_call";
  toolCallId: string;
  toolName: string;
  args: unknown;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** A piece of a tool call's arguments, as text. */
export interface ToolCallDelta {
  type: "tool_call_delta";
  toolCallId: string;
  delta: string;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** A tool call begins. */
export interface ToolCallStart {
  type: "tool_call_start";
  toolCallId: string;
  toolName: string;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** A tool call failed. */
export interface ToolError {
  type: "tool_error";
  toolCallId: string;
  message: string;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** A tool call succeeded. */
export interface ToolResult {
  type: "tool_result";
  toolCallId: string;
  output: unknown;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** The answer is whole; `finalText` is all of it. */
export interface TurnComplete {
  type: "turn_complete";
  finalText: string;
  stopReason: "cancelled" | "end_turn" | "error" | "max_tokens" | "refusal";
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** The turn failed and is over. */
export interface TurnError {
  type: "turn_error";
  code: string;
  message: string;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** The agent begins to answer. */
export interface TurnStarted {
  type: "turn_started";
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** How full the model's context window is. `percentUsed` is 0 to 100. */
export interface UsageContext {
  type: "usage_context";
  totalTokens: number;
  maxTokens: number;
  percentUsed: number;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** What a model call took. Tokens are counts; the cost is millionths of a dollar. */
export interface UsageUpdate {
  type: "usage_update";
  model: string;
  provider: string;
  inputTokens: number;
  outputTokens: number;
  cachedTokens: number;
  costMicroDollars: number;
  sessionId: string;
  turnId: string | null;
  seq: number;
  ts: number;
}

/** Any of them, told apart by `type`. */
export type SessionEvent =
  | TurnStarted
  | TextDelta
  | TurnComplete
  | TurnError
  | ToolCallStart
  | ToolCallDelta
  | ToolCall
  | ToolResult
  | ToolError
  | QuestionRequested
  | PermissionRequested
  | ApprovalResolved
  | ThinkingStart
  | ThinkingProgress
  | ThinkingComplete
  | TerminalStream
  | TerminalComplete
  | SandboxProvisioning
  | SandboxReady
  | SandboxRemoved
  | SessionStateChanged
  | UsageUpdate
  | UsageContext;
