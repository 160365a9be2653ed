// Made by tools/generate_typescript.py from spec/schema and src/podium/wire; do not edit.

/** The command is durable (a message) or done (the others). `seq`: the event that tells of it. */
export interface Ack {
  id?: string | null;
  turn_id?: string | null;
  message_id?: string | null;
  seq?: number | null;
}

/** The agent begins here, as `agent_id` was at its event `seq` (everything before this event is its past). */
export interface AgentForked {
  agent_id: string;
  seq: number;
  state_version: number;
  iteration: number;
  turn_id?: string | null;
}

/**
 * The agent was taken back to event `seq`: conversation, state and files go on from there. `state_version` is the
 * number that state has now, `iteration` the one whose files are back. What lies between is kept, and no longer counts.
 */
export interface AgentRewound {
  seq: number;
  state_version: number;
  iteration: number;
  turn_id?: string | null;
}

/** A question or permission was resolved, by whom (`client`, `deadline`, `turn`). */
export interface ApprovalResolved {
  request_id: string;
  outcome: "answered" | "cancelled" | "dismissed" | "expired" | "selected";
  by: string;
  option_id?: string | null;
  answers?: Record<string, unknown> | null;
}

/**
 * What the agent may spend (0: no limit) and has spent, in micro-dollars; `paused`: no turn goes on until there is
 * more.
 */
export interface BudgetUpdated {
  budget_micro_dollars: number;
  spent_micro_dollars: number;
  paused: boolean;
}

/** Last event of a turn: the triple that names this moment of the agent. */
export interface Checkpoint {
  turn_id: string;
  seq: number;
  state_version: number;
  iteration: number;
}

/** First frame of a connection. */
export interface Connected {
  protocol: number;
  instance_id: string;
  agent_id: string;
  deployment_id: string;
  status: string;
  last_seq: number;
}

/** No content. */
export type Empty = Record<string, never>;

/** The turn failed and is over. */
export interface ErrorContent {
  code: string;
  message: string;
  retryable: boolean;
}

/**
 * One StreamUpdate as a client reads it. `seq` counts per agent from 1 without gaps; 0 (absent on the wire) marks a
 * connection-local frame (`connected`, `pong`, `ack`, `nack`). `ts` is epoch milliseconds.
 */
export interface Event {
  messageType: string;
  content?: Record<string, unknown>;
  agentId?: string;
  instanceId?: string;
  turnId?: string;
  seq?: number;
  ts?: number;
}

/** This number was, or may have been, shown before the agent's host was lost; what it told is gone. */
export type EventLost = Record<string, never>;

/**
 * A path of the workspace changed. With `omitted`: so many more changes, up to `iteration`, are not told one by one;
 * `path` is empty then, the whole workspace.
 */
export interface FileChanged {
  path: string;
  kind: "created" | "deleted" | "modified" | "renamed";
  iteration: number;
  size?: number | null;
  from?: string | null;
  omitted?: number | null;
}

/** Where an instance is in its life; the transitions are data in the coordinator's domain. */
export type InstanceStatus =
  | "asleep"
  | "deploying"
  | "failed"
  | "initializing"
  | "ready"
  | "running"
  | "stopping"
  | "terminated"
  | "waiting";

/** The command is refused and has done nothing. */
export interface Nack {
  code: string;
  message: string;
  id?: string | null;
}

/**
 * The kernel killed `killed` processes because all together had reached their limit of memory. `peak_bytes`: the most
 * they used.
 */
export interface OutOfMemory {
  limit_bytes: number;
  peak_bytes?: number | null;
  killed?: number;
}

/** One way to answer a permission. */
export interface PermissionOption {
  option_id: string;
  name: string;
  kind: "allow_always" | "allow_once" | "reject_always" | "reject_once";
}

/** The agent wants leave to act; a durable row. At `expires_at` (epoch ms) the option `default` is taken. */
export interface PermissionRequested {
  request_id: string;
  tool_name: string;
  options: PermissionOption[];
  tool_call_id?: string | null;
  arguments?: unknown;
  expires_at?: number | null;
  default?: string | null;
}

/** One step of a plan. */
export interface PlanEntry {
  content: string;
  status: "completed" | "in_progress" | "pending";
  priority?: "high" | "low" | "medium" | null;
}

/** The whole plan as it now stands. */
export interface PlanUpdated {
  entries: PlanEntry[];
}

/** One question put to a person. */
export interface Question {
  id: string;
  question: string;
  options?: string[] | null;
  multiple?: boolean;
}

/** The agent asks; a durable row until answered, dismissed, cancelled or expired. */
export interface QuestionRequested {
  request_id: string;
  questions: Question[];
  expires_at?: number | null;
  default?: Record<string, unknown> | null;
}

/** Why (`sandbox.removed`, `terminating`). */
export interface Reason {
  reason: string;
}

/**
 * The place is ready: which isolation was used, where the workspace is, what keeps it (`fuse`, `watch`, `directory`).
 */
export interface SandboxInit {
  isolation: string;
  workspace: string;
  backend?: string;
}

/** The place an agent runs in is being made. */
export interface SandboxProvisioning {
  phase: string;
  message?: string | null;
}

/** The instance went from one state to another. */
export interface StateStatus {
  status: InstanceStatus;
  previous: InstanceStatus;
}

/** An answer is whole. `text` is all of it. */
export interface StreamEnd {
  text: string;
  stop_reason: "cancelled" | "end_turn" | "error" | "max_tokens" | "refusal";
}

/** An answer begins. `attempt` above 1: the turn is run again after a crash. */
export interface StreamStart {
  message_id: string;
  attempt: number;
}

/** A command ended. `signal` is its name (`SIGKILL`) when one ended it. */
export interface TerminalComplete {
  terminal_id: string;
  exit_code: number | null;
  signal?: string | null;
}

/** Output of a command the agent runs. */
export interface TerminalStream {
  terminal_id: string;
  stream: "stderr" | "stdout";
  data: string;
  command?: string | null;
}

/** The process is gone. `out_of_memory`: it, or a process it had started, was killed for memory. */
export interface Terminated {
  reason: string;
  exit_code?: number | null;
  signal?: string | null;
  out_of_memory?: OutOfMemory | null;
}

/** Text to append (`stream_update`, `thinking.progress`). */
export interface Text {
  text: string;
}

/** A tool call with its whole arguments. */
export interface ToolCall {
  tool_call_id: string;
  tool_name: string;
  arguments: unknown;
  locations?: Record<string, unknown>[] | null;
}

/** Arguments of a tool call as they stream. */
export interface ToolCallDelta {
  tool_call_id: string;
  arguments_delta: string;
}

/** A tool call begins. */
export interface ToolCallStart {
  tool_call_id: string;
  tool_name: string;
  title?: string | null;
  kind?: string | null;
}

/** A tool call failed. */
export interface ToolError {
  tool_call_id: string;
  tool_name: string;
  message: string;
}

/** A tool call succeeded. */
export interface ToolResult {
  tool_call_id: string;
  tool_name: string;
  result: unknown;
}

/** How full the model's context window is. */
export interface UsageContext {
  total_tokens: number;
  max_tokens: number;
  percent_used: number;
}

/** What a model call cost. Tokens are counts; cost is millionths of a dollar. */
export interface UsageUpdate {
  model: string;
  provider: string;
  input_tokens: number;
  output_tokens: number;
  cached_tokens: number;
  cost_micro_dollars: number;
}

/** Canonical event → its content. `message.user` is open: `{message_id, text, …metadata}`. */
export interface EventContents {
  "stream_start": StreamStart;
  "stream_update": Text;
  "stream_end": StreamEnd;
  "error": ErrorContent;
  "thinking.start": Empty;
  "thinking.progress": Text;
  "thinking.complete": Empty;
  "tool.call_start": ToolCallStart;
  "tool.call_delta": ToolCallDelta;
  "tool.call": ToolCall;
  "tool.result": ToolResult;
  "tool.error": ToolError;
  "tool.question_requested": QuestionRequested;
  "tool.permission_requested": PermissionRequested;
  "tool.approval_resolved": ApprovalResolved;
  "terminal.stream": TerminalStream;
  "terminal.complete": TerminalComplete;
  "sandbox.provisioning": SandboxProvisioning;
  "sandbox.init": SandboxInit;
  "sandbox.removed": Reason;
  "terminating": Reason;
  "terminated": Terminated;
  "usage.update": UsageUpdate;
  "usage.context": UsageContext;
  "plan.updated": PlanUpdated;
  "file.changed": FileChanged;
  "checkpoint": Checkpoint;
  "agent.forked": AgentForked;
  "agent.rewound": AgentRewound;
  "event.lost": EventLost;
  "budget.updated": BudgetUpdated;
  "state.status": StateStatus;
  "connected": Connected;
  "ack": Ack;
  "nack": Nack;
  "message.user": { message_id: string; text: string } & Record<string, unknown>;
}

/** Canonical name of an event. */
export type EventName = keyof EventContents;

/** Names a reader must accept beside the canonical ones. */
export const ALIASES: Readonly<Record<string, EventName>> = {
  created: "stream_start",
  update: "stream_update",
  complete: "stream_end",
  stream_complete: "stream_end",
  thinking_update: "thinking.progress",
  usage: "usage.update",
  context: "usage.context",
};
