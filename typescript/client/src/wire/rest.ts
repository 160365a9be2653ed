// Made by tools/generate_typescript.py from spec/schema and src/podium/wire; do not edit.

import type { InstanceStatus } from "./events.ts";

export type { InstanceStatus };

/** A durable identity. `instance_id` and `status` are null when no instance is alive. */
export interface Agent {
  agent_id: string;
  tenant_id: string;
  agent_type: string;
  last_deployment_id: string;
  epoch: number;
  created_at: number;
  instance_id?: string | null;
  status?: InstanceStatus | null;
}

/**
 * `PUT /api/v1/tenants/{tenant_id}/budget`: what all agents of a tenant together may spend in a day and in a month
 * (UTC), in micro-dollars; 0: no limit, absent: as the daemons are configured.
 */
export interface Allowance {
  per_day?: number | null;
  per_month?: number | null;
}

/** The runtime layer of the configuration. */
export interface ConfigView {
  config: Record<string, unknown>;
  version: number;
}

/** One entry of the conversation; `content` holds metadata beside `text`. */
export interface ConversationMessage {
  message_id: string;
  role: "agent" | "user";
  text: string;
  turn_id: string;
  seq: number;
  ts: number;
  stop_reason?: string | null;
  content?: Record<string, unknown> | null;
}

/** A coordinator as discovery knows it. `state` is `active` or `draining`. */
export interface Coordinator {
  coordinator_id: string;
  url: string;
  version: string;
  started_at: number;
  state: "active" | "draining";
  load: Load;
}

/**
 * Coordinator `POST /instances`: the gateway has resolved the deployment, merged the environment and chosen the ids.
 * Repeating it with the same `instance_id` gives the same instance. `environment` and `secrets` are what the process
 * sees beside the platform's own variables; later layers have already won.
 */
export interface CoordinatorCreate {
  instance_id: string;
  agent_id: string;
  tenant_id: string;
  deployment: Deployment;
  config?: Record<string, unknown>;
  runtime_config?: Record<string, unknown>;
  environment?: Record<string, string>;
  secrets?: Record<string, string>;
  limits?: LimitsTable;
  idle_timeout?: string | null;
}

/** Coordinator `POST /deploy/agent`: prepare this deployment. `source` is where the bundle lies in the object store. */
export interface DeployRequest {
  source: string;
  checksum: string;
  agent_type: string;
  version: string;
}

/** A deployment as the registry describes it. `checksum` is `sha256:` + 64 hex characters of the bundle. */
export interface Deployment {
  deployment_id: string;
  agent_type: string;
  version: string;
  checksum: string;
  size: number;
  runtime: string;
  created_at: number;
}

/** One broken field of a request: where (`body.limits.memory`) and what is wrong. */
export interface FieldError {
  loc: string;
  msg: string;
}

/**
 * `POST /api/v1/agents/{agent_id}/fork`. Without `at`: as the agent is now, or as it was when its last turn ended while
 * one is running. Without `agent_id` we make one.
 */
export interface ForkRequest {
  at?: number | string | null;
  agent_id?: string | null;
}

/** The new agent, its instance (asleep), and the moment of the agent `source_agent_id` it begins with. */
export interface Forked {
  instance_id: string;
  agent_id: string;
  deployment_id: string;
  status: InstanceStatus;
  coordinator_id: string;
  created_at: number;
  source_agent_id: string;
  moment: Moment;
}

/** `GET /health`: the process is alive. */
export interface Health {
  status: "ok";
  version: string;
}

/** An instance as create answers and lists show it. */
export interface Instance {
  instance_id: string;
  agent_id: string;
  deployment_id: string;
  status: InstanceStatus;
  coordinator_id: string;
  created_at: number;
}

/** `POST /api/v1/instances`. `deployment_id` is any deployment reference. */
export interface InstanceCreate {
  deployment_id: string;
  agent_id?: string | null;
  config?: Record<string, unknown> | null;
  secrets?: Record<string, string> | null;
  environment?: Record<string, string> | null;
  limits?: LimitsTable | null;
  idle_timeout?: string | null;
}

/** An instance in full. */
export interface InstanceInfo {
  instance_id: string;
  agent_id: string;
  deployment_id: string;
  status: InstanceStatus;
  coordinator_id: string;
  created_at: number;
  config: Record<string, unknown>;
  last_seq: number;
  head_iteration: number;
  turn: RunningTurn | null;
  queue_depth: number;
  resources: Resources;
  restarts: number;
  workspace: WorkspaceInfo;
  isolation: string;
  state_version: number;
  pending_requests: number;
  reason?: string | null;
}

/** An event of the journal, in the envelope of the stream. */
export interface JournalEvent {
  messageType: string;
  content: Record<string, unknown>;
  agentId: string;
  instanceId: string;
  turnId: string;
  seq: number;
  ts: number;
}

/** `POST /api/v1/keys`. A key with the permission `admin` sees all tenants. */
export interface KeyCreate {
  tenant_id: string;
  name?: string | null;
  permissions?: Permission[] | null;
  expires_at?: number | null;
  limits?: TenantLimits;
}

/** A new key; `key` is shown this once. */
export interface KeyCreated {
  key_id: string;
  tenant_id: string;
  permissions: Permission[];
  created_at: number;
  expires_at?: number | null;
  name?: string | null;
  limits?: TenantLimits;
  key: string;
}

/** A key without its secret. */
export interface KeyInfo {
  key_id: string;
  tenant_id: string;
  permissions: Permission[];
  created_at: number;
  expires_at?: number | null;
  name?: string | null;
  limits?: TenantLimits;
}

/** `[limits]` as written, with units; also the `limits` of a create call. What is absent keeps its default. */
export interface LimitsTable {
  memory?: string | null;
  cpu?: number | null;
  processes?: number | null;
  disk?: string | null;
  turn_timeout?: string | null;
  idle_timeout?: string | null;
  durability?: "default" | "sync" | null;
  budget?: string | null;
}

/** How full a coordinator is. */
export interface Load {
  agents: number;
  agents_limit: number;
  cpu: number;
  memory: number;
  memory_limit: number;
}

/** Log records oldest first; `total` counts all that match. */
export interface LogPage {
  items: LogRecord[];
  next_cursor: string | null;
  total: number;
}

/** One line of the agent's log. `source` is `agent`, `stdout`, `stderr` or `platform`. */
export interface LogRecord {
  id: number;
  ts: number;
  level: string;
  message: string;
  module: string;
  source: string;
  turn_id?: string;
  fields?: Record<string, unknown> | null;
}

/** The message is durable; `seq` is its `message.user` event. */
export interface MessageAccepted {
  turn_id: string;
  message_id: string;
  seq: number;
}

/** `POST …/messages`: `text` and any metadata beside it, which reaches the agent as part of the message. */
export interface MessageSend {
  text: string;
  on_busy?: "interrupt" | "queue" | "reject" | "steer";
}

/** A model agents may use. Prices are micro-dollars per million tokens. */
export interface Model {
  id: string;
  provider?: string;
  capabilities?: string[];
  context_window?: number | null;
  input_price_micro_dollars?: number | null;
  output_price_micro_dollars?: number | null;
}

/**
 * A moment of an agent: its newest event, the version of its state, the iteration of its workspace. `turn_id` when it
 * is the end of a turn; `kind`: `turn`, `rewind` (the agent was taken back), `fork` (it begins here), `now`.
 */
export interface Moment {
  seq: number;
  state_version: number;
  iteration: number;
  kind: "fork" | "now" | "rewind" | "turn";
  turn_id?: string | null;
  ts?: number | null;
}

/** A question or permission, open or resolved; `content` is that of its event. */
export interface PendingRequest {
  request_id: string;
  kind: "permission" | "question";
  turn_id: string;
  status: "open" | "resolved";
  content: Record<string, unknown>;
  created_at: number;
  seq: number;
  expires_at?: number | null;
  outcome?: string | null;
  option_id?: string | null;
  answers?: Record<string, unknown> | null;
  by?: string | null;
  resolved_at?: number | null;
}

/** What a key may do. */
export type Permission =
  | "admin"
  | "config:write"
  | "deployments:write"
  | "files:read"
  | "files:write"
  | "instances:read"
  | "instances:write"
  | "secrets:write";

/** Body of every REST error, `application/problem+json` (RFC 9457). */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  request_id?: string;
  errors?: FieldError[] | null;
  logs?: string[] | null;
}

/** `GET /ready`: `ready`, or which dependency fails. */
export interface Ready {
  status: "not_ready" | "ready";
  failing: string[];
}

/** `POST …/requests/{request_id}`: exactly one of the three. */
export interface RequestAnswer {
  option_id?: string | null;
  answers?: Record<string, unknown> | null;
  dismissed?: boolean;
}

/** What the instance's processes use now: memory in bytes, CPU seconds since start, number of processes. */
export interface Resources {
  rss_bytes?: number;
  cpu_seconds?: number;
  processes?: number;
}

/** `POST /api/v1/agents/{agent_id}/rewind`. */
export interface RewindRequest {
  at: number | string;
}

/**
 * The agent was taken back to `moment`. `seq` is the event that says so, `state_version` the number its old state has
 * now. Going back to `undo` undoes it.
 */
export interface Rewound {
  agent_id: string;
  instance_id: string;
  moment: Moment;
  seq: number;
  state_version: number;
  undo: number;
}

/** The turn that runs now. */
export interface RunningTurn {
  turn_id: string;
  message_id: string;
  attempt: number;
  started_at: number;
}

/** Names of the secrets an agent type has; values never leave. */
export interface SecretNames {
  agent_type: string;
  names: string[];
}

/** The state at a version. `state_schema` is the `_version` of the state class that wrote it; null before any state. */
export interface StateView {
  version: number;
  state: Record<string, unknown>;
  state_schema?: number | null;
}

/**
 * Limits of a tenant as one of its keys has them; what is absent is as the gateway is configured. `messages_per_minute`
 * counts those sent by REST; `connections` WebSockets on one gateway; `budget` is set for the tenant when the key is
 * made.
 */
export interface TenantLimits {
  instances?: number | null;
  deployments?: number | null;
  messages_per_minute?: number | null;
  connections?: number | null;
  budget?: Allowance;
}

/**
 * `POST …/messages?wait=true`: the whole answer. `error`, when the turn failed: what its `error` event says; the log
 * has more.
 */
export interface TurnResult {
  turn_id: string;
  text: string;
  stop_reason: string;
  usage: TurnUsage;
  error?: string | null;
}

/** Sum of the turn's `usage.update` events. */
export interface TurnUsage {
  input_tokens?: number;
  output_tokens?: number;
  cached_tokens?: number;
  cost_micro_dollars?: number;
}

/** Where the workspace is on its host, and what keeps it (`fuse`, `watch` or `directory`). */
export interface WorkspaceInfo {
  path: string;
  backend: string;
}

