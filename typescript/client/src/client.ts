import { Agents } from "./api/agents.ts";
import type { CallOptions } from "./api/call.ts";
import { Deployments } from "./api/deployments.ts";
import { Config, Secrets } from "./api/environment.ts";
import type { FileContent, FileEntry, IterationMeta } from "./api/file_types.ts";
import { Files } from "./api/files.ts";
import { Instances } from "./api/instances.ts";
import { Transport, type Fetch } from "./api/transport.ts";
import { systemTiming, type Timing } from "./resilience/timing.ts";
import { readSettings, type GivenSettings, type Settings } from "./settings.ts";
import { PodiumConnection } from "./stream/connection.ts";
import { webSocketDial, type Dial, type WebSocketClass } from "./stream/socket.ts";
import type { LimitsTable } from "./wire/rest.ts";

/** Version in the reference `{agentType}:1.0.0@local` used when no deployment is named. */
export const DEFAULT_VERSION = "1.0.0";

/** What a client is made of; everything has a default. */
export interface PodiumClientOptions extends GivenSettings {
  /** Sends the requests; the runtime's `fetch` unless given. */
  readonly fetch?: Fetch | undefined;
  /** Opens the streams; the runtime's `WebSocket` unless given. */
  readonly WebSocket?: WebSocketClass | undefined;
  /** Clock, timers and chance; a program's own tests need not wait. */
  readonly timing?: Timing | undefined;
}

/** What `createInstance` takes beside the agent's type. */
export interface CreateInstanceOptions extends CallOptions {
  /** An agent that is continued, or begun under this name; a new one unless given. */
  readonly agentId?: string | undefined;
  /** Environment variables of the agent that are kept out of every answer and log. */
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  /** Environment variables of the agent. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Any deployment reference; `{agentType}:1.0.0@local` unless given. */
  readonly deploymentId?: string | undefined;
  /** The agent's configuration, over that of its manifest. */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  /** Limits over those of its manifest, with their units: `{ memory: "512 MiB" }`. */
  readonly limits?: LimitsTable | undefined;
  /** How long it may do nothing before it is put to sleep: `10m`. */
  readonly idleTimeout?: string | undefined;
  /** A name of your own for the request: the same within 24 hours gives the same instance. */
  readonly idempotencyKey?: string | undefined;
}

/** What `createInstance` gives. */
export interface CreatedInstance {
  readonly instanceId: string;
  readonly deploymentId: string;
  /** The agent behind it: give it as `agentId` to continue it later. */
  readonly agentId: string;
}

/** Where a stream begins. */
export interface ConnectOptions extends CallOptions {
  /** Events behind this number; 0: all; undefined: from now on. */
  readonly after?: number | undefined;
}

/**
 * A client of one Podium. Address and key come from `PODIUM_URL` and `PODIUM_API_KEY` unless given. Every failure is a
 * `PodiumConnectionError`; an aborted signal gives its reason.
 *
 * ```ts
 * const podium = new PodiumClient();
 * const { instanceId } = await podium.createInstance("counter");
 * const stream = await podium.connect(instanceId, { after: 0 });
 * await stream.sendMessage("hello");
 * for await (const event of stream.events) console.log(event.seq, event.messageType, event.content);
 * ```
 */
export class PodiumClient {
  /** Bundles of agents. */
  readonly deployments: Deployments;
  /** Instances with everything the API takes. */
  readonly instances: Instances;
  /** Durable identities; fork and rewind. */
  readonly agents: Agents;
  /** Files by instance. */
  readonly files: Files;
  /** Files by agent, which may have no instance. */
  readonly agentFiles: Files;
  /** Secrets of agent types. */
  readonly secrets: Secrets;
  /** The runtime layer of the configuration. */
  readonly config: Config;
  readonly #transport: Transport;
  readonly #dial: Dial;
  readonly #streams = new Set<PodiumConnection>();

  /** @throws TypeError the address is none of http or https */
  constructor(options: PodiumClientOptions = {}) {
    const settings = readSettings(options);
    const timing = options.timing ?? systemTiming;
    const fetch = options.fetch ?? ((url, request) => globalThis.fetch(url, request));
    this.#transport = new Transport(settings, timing, fetch);
    this.#dial = webSocketDial(settings, timing, options.WebSocket);
    this.deployments = new Deployments(this.#transport);
    this.instances = new Instances(this.#transport);
    this.agents = new Agents(this.#transport);
    this.files = new Files(this.#transport);
    this.agentFiles = new Files(this.#transport, "agents");
    this.secrets = new Secrets(this.#transport);
    this.config = new Config(this.#transport);
  }

  /** Address and key in use. */
  get settings(): Settings {
    return this.#transport.settings;
  }

  /**
   * Creates an instance of an agent, or continues the agent `agentId`; it is ready when this settles.
   *
   * Guarded by a circuit breaker (5 failures in a row, 30 s) and retried with the same `Idempotency-Key`. Equal calls for
   * one `agentId` that are made while the first is under way share its outcome.
   *
   * @throws PodiumConnectionError it failed, or the circuit is open
   */
  createInstance(params: CreateInstanceOptions & { readonly agentType: string }): Promise<CreatedInstance>;
  createInstance(agentType: string, options?: CreateInstanceOptions): Promise<CreatedInstance>;
  async createInstance(
    first: string | (CreateInstanceOptions & { readonly agentType: string }),
    second: CreateInstanceOptions = {},
  ): Promise<CreatedInstance> {
    const [agentType, options] = typeof first === "string" ? [first, second] : [first.agentType, first];
    const { agentId, secrets, environment, config, limits, idleTimeout, deploymentId, idempotencyKey, signal } = options;
    const wanted = {
      deployment_id: deploymentId ?? `${agentType}:${DEFAULT_VERSION}@local`,
      ...(agentId === undefined ? {} : { agent_id: agentId }),
      ...(config === undefined ? {} : { config }),
      ...(secrets === undefined ? {} : { secrets }),
      ...(environment === undefined ? {} : { environment }),
      ...(limits === undefined ? {} : { limits }),
      ...(idleTimeout === undefined ? {} : { idle_timeout: idleTimeout }),
    };
    const made = await this.instances.create(wanted, { idempotencyKey, signal });
    return { instanceId: made.instance_id, deploymentId: made.deployment_id, agentId: made.agent_id };
  }

  /** A stream of the instance's events, and the way to talk to it. A sleeping agent is woken. */
  async connect(instanceId: string, options: ConnectOptions = {}): Promise<PodiumConnection> {
    this.#transport.throwIfClosed();
    const stream = new PodiumConnection(this.#dial, this.#transport.timing, instanceId, options.after, () => {
      this.#streams.delete(stream);
    });
    this.#streams.add(stream);
    return stream.open(options.signal);
  }

  /** Whether the instance is alive or asleep. Asks once, waits at most 5 s, never throws. */
  isAlive(instanceId: string): Promise<boolean> {
    return this.instances.isAlive(instanceId);
  }

  /** Stops the instance; one that is gone already is fine. Its agent's data stay. */
  stopInstance(instanceId: string, options?: CallOptions): Promise<void> {
    return this.instances.stop(instanceId, options);
  }

  /** Entries of a directory of the workspace (its root unless given), `depth` levels deep (1 to 16). */
  listFiles(instanceId: string, path?: string, depth?: number, options: CallOptions = {}): Promise<FileEntry[]> {
    return this.files.list(instanceId, { ...options, path, depth });
  }

  /** A file of the workspace. */
  readFile(instanceId: string, path: string, options?: CallOptions): Promise<FileContent> {
    return this.files.read(instanceId, path, options);
  }

  /** The recorded changes of a file, newest first. */
  fileHistory(instanceId: string, path: string, options?: CallOptions): Promise<IterationMeta[]> {
    return this.files.history(instanceId, path, options);
  }

  /** A file as it was at an iteration of the workspace. */
  fileAtIteration(instanceId: string, path: string, iteration: number, options?: CallOptions): Promise<FileContent> {
    return this.files.at(instanceId, path, iteration, options);
  }

  /** Ends what is under way, streams too; later calls fail. No timer and no socket is left when it settles. */
  async close(): Promise<void> {
    this.#transport.close();
    await Promise.all([...this.#streams].map((stream) => stream.close()));
  }
}
