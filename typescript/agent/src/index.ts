/** The SDK for agents: `import { BaseAgent, DeltaState, type AgentContext } from "@podium/ts"`. */
/// <reference lib="es2024.string" />
/// <reference lib="esnext.disposable" preserve="true" />

export {
  type AgentConfig,
  type AgentEvents,
  type AgentListener,
  BaseAgent,
  type StateClass,
} from "./agent.ts";
export type {
  Answers,
  AskOptions,
  ChosenOption,
  OptionLike,
  Outcome,
  PermissionKind,
  PermissionOptions,
  QuestionLike,
} from "./asking.ts";
export type { CommandOptions, CommandResult } from "./commands.ts";
export { AgentContext } from "./context.ts";
export type { AgentFactory, AgentMaker } from "./entry.ts";
export {
  AgentEntryError,
  AgentError,
  AgentRequestError,
  AgentUsageError,
  MigrationError,
  TurnCancelled,
} from "./errors.ts";
export type { AgentLog, LogLevel } from "./log.ts";
export type { MessageHandle, StopReason } from "./message.ts";
export type { Sent } from "./outbox.ts";
export type { ConversationEntry, FileVersion, Usage } from "./records.ts";
export type { Secrets } from "./secrets.ts";
export * from "./state/index.ts";
export type { Thoughts } from "./thinking.ts";
export type { ToolCallHandle, ToolCallOptions } from "./tools.ts";
export type { AgentInput, Origin, Turn } from "./turn.ts";
export type {
  AgentEventName,
  EventContents,
  PermissionOption,
  PlanEntry,
  Question,
} from "./wire/events.ts";
