/**
 * Typed client of Podium's public API for Bun, Node and browsers, with retry, circuit breaker and resuming streams inside.
 *
 * @packageDocumentation
 */

export { Agents, type ForkOptions, type MomentRef, type RewindOptions } from "./api/agents.ts";
export type { CallOptions } from "./api/call.ts";
export { Deployments } from "./api/deployments.ts";
export { Config, Secrets } from "./api/environment.ts";
export {
  bytesOf,
  type FileContent,
  type FileDifference,
  type FileEntry,
  type FileRemoved,
  type FileVersion,
  type FileWritten,
  type IterationMeta,
  type WorkspaceChanges,
  type WorkspaceCheckpoint,
} from "./api/file_types.ts";
export { Files, type ByteOptions, type ChangeOptions, type FileListOptions, type WriteOptions } from "./api/files.ts";
export { Instances, type CreateOptions, type InstanceFilter, type LogOptions } from "./api/instances.ts";
export type { ListOptions } from "./api/pages.ts";
export type { Fetch } from "./api/transport.ts";
export {
  DEFAULT_VERSION,
  PodiumClient,
  type ConnectOptions,
  type CreatedInstance,
  type CreateInstanceOptions,
  type PodiumClientOptions,
} from "./client.ts";
export { PodiumConnectionError, type ErrorCode, type ErrorFacts } from "./errors.ts";
export { CircuitBreaker, type Breaker } from "./resilience/breaker.ts";
export { CALLS, withRetry, type RetryPolicy } from "./resilience/retry.ts";
export { SingleFlight } from "./resilience/single_flight.ts";
export { systemTiming, type Timing } from "./resilience/timing.ts";
export { DEFAULT_URL, type GivenSettings, type Settings } from "./settings.ts";
export { PodiumConnection, type MessageOptions, type SendOptions } from "./stream/connection.ts";
export { isKind, kindOf, textOf, type PodiumEvent } from "./stream/event.ts";
export type { WebSocketClass, WebSocketLike } from "./stream/socket.ts";
export type { Command } from "./wire/commands.ts";
export type * from "./wire/events.ts";
export type * from "./wire/rest.ts";
