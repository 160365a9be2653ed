import type { PodiumEvent } from "../stream/event.ts";
import { PodiumConnectionError } from "../errors.ts";
import { CircuitBreaker, type Breaker } from "../resilience/breaker.ts";
import { SingleFlight } from "../resilience/single_flight.ts";
import { unlessAborted } from "../resilience/timing.ts";
import type {
  ConversationMessage,
  Instance,
  InstanceCreate,
  InstanceInfo,
  LogPage,
  LogRecord,
  MessageAccepted,
  PendingRequest,
  RequestAnswer,
  StateView,
} from "../wire/rest.ts";
import { apiPath, CREATE_MS, given, PROBE_MS, uniqueId, type Call, type CallOptions, type Query } from "./call.ts";
import { readPages, type ListOptions } from "./pages.ts";
import { readEvents } from "./sse.ts";
import type { Transport } from "./transport.ts";

/** How an instance is created. */
export interface CreateOptions extends CallOptions {
  /** A name of your own for the request: the same within 24 hours gives the same instance. A unique one is made unless given. */
  readonly idempotencyKey?: string | undefined;
}

/** What narrows a list of instances. */
export interface InstanceFilter extends ListOptions {
  readonly status?: string | undefined;
  readonly agentType?: string | undefined;
  readonly agentId?: string | undefined;
}

/** Which log records are read. */
export interface LogOptions extends CallOptions {
  /** Least severity: `debug`, `info`, `warning`, `error`. */
  readonly level?: string | undefined;
  /** At most so many (100 unless given), the first `offset` of them passed over. */
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
}

/** `/api/v1/instances`. Bodies have the names of the wire. */
export class Instances {
  readonly #transport: Transport;
  readonly #breaker: CircuitBreaker;
  readonly #creating = new SingleFlight<Instance>();

  constructor(transport: Transport) {
    this.#transport = transport;
    this.#breaker = new CircuitBreaker(transport.timing);
  }

  /** State of the circuit that guards `create`. */
  get circuit(): Breaker {
    return this.#breaker.state;
  }

  /**
   * Creates an instance, or continues an agent; answers when it is ready. A call for an `agent_id` that is under way is
   * joined by equal ones. Repeating it after a lost answer gives the same instance: it carries an `Idempotency-Key`.
   *
   * @throws PodiumConnectionError also at once, without a request, while the circuit is open
   */
  create(wanted: InstanceCreate, options: CreateOptions = {}): Promise<Instance> {
    const { idempotencyKey, signal } = options;
    const body = given(wanted);
    const isShared = wanted.agent_id !== undefined && wanted.agent_id !== null;
    const key = JSON.stringify([idempotencyKey, Object.entries(body).toSorted(byName)]);
    const create = (mayEnd?: AbortSignal): Promise<Instance> =>
      this.#breaker.run("createInstance", () =>
        this.#transport.json<Instance>({
          operation: "createInstance",
          method: "POST",
          path: apiPath(["instances"]),
          json: body,
          headers: { "Idempotency-Key": idempotencyKey ?? uniqueId() },
          limitMs: CREATE_MS,
          signal: mayEnd,
        }),
      );
    return isShared ? unlessAborted(this.#creating.run(key, () => create()), signal) : create(signal);
  }

  /** Instances that match, newest first. */
  list(filter: InstanceFilter = {}): AsyncGenerator<Instance, void> {
    const query = { status: filter.status, agent_type: filter.agentType, agent_id: filter.agentId };
    return readPages(this.#transport, { operation: "listInstances", parts: ["instances"], query }, filter);
  }

  /** An instance in full. */
  get(instanceId: string, options?: CallOptions): Promise<InstanceInfo> {
    return this.#transport.json(this.#call("getInstance", "GET", instanceId, [], options));
  }

  /** Whether it is alive or asleep. Asks once, waits at most 5 s, never throws. */
  async isAlive(instanceId: string): Promise<boolean> {
    try {
      await this.#transport.probe({ ...this.#call("isAlive", "GET", instanceId, []), limitMs: PROBE_MS });
      return true;
    } catch {
      return false;
    }
  }

  /** Stops an instance; one that is gone already is fine. Its agent's data stay. */
  async stop(instanceId: string, options?: CallOptions): Promise<void> {
    try {
      await this.#transport.text({ ...this.#call("stopInstance", "DELETE", instanceId, [], options), limitMs: CREATE_MS });
    } catch (error) {
      if (!(error instanceof PodiumConnectionError) || error.status !== 404) throw error;
    }
  }

  /** Hands a message over; it is durable when this settles. Done once, however often it had to be sent. */
  send(instanceId: string, text: string, metadata: Record<string, unknown> = {}, options?: CallOptions): Promise<MessageAccepted> {
    const call = this.#call("sendMessage", "POST", instanceId, ["messages"], options);
    return this.#transport.json({ ...call, json: { ...metadata, text }, headers: { "Idempotency-Key": uniqueId() } });
  }

  /** The conversation, oldest first. */
  messages(instanceId: string, options?: ListOptions): AsyncGenerator<ConversationMessage, void> {
    return this.#list("listMessages", instanceId, "messages", {}, options);
  }

  /** The journal behind event number `after`, as far as it is now. */
  events(instanceId: string, options: ListOptions & { readonly after?: number } = {}): AsyncGenerator<PodiumEvent, void> {
    return this.#list("listEvents", instanceId, "events", { after: options.after ?? 0 }, options);
  }

  /** Log records, oldest first. */
  logs(instanceId: string, options: LogOptions = {}): Promise<LogPage> {
    const query = { level: options.level, limit: options.limit, offset: options.offset };
    return this.#transport.json(this.#call("readLogs", "GET", instanceId, ["logs"], options, query));
  }

  /** Log records from now on, until the loop is left or the instance is over. */
  async *followLogs(instanceId: string, options: Pick<LogOptions, "level" | "signal"> = {}): AsyncGenerator<LogRecord, void> {
    const query = { level: options.level, follow: true };
    const call = this.#call("followLogs", "GET", instanceId, ["logs"], options, query);
    const body = await this.#transport.stream({ ...call, headers: { Accept: "text/event-stream" } });
    for await (const event of readEvents(body)) yield JSON.parse(event.data) as LogRecord;
  }

  /** The agent's state, now or at an older version. */
  state(instanceId: string, version?: number, options?: CallOptions): Promise<StateView> {
    return this.#transport.json(this.#call("readState", "GET", instanceId, ["state"], options, { version }));
  }

  /** Questions and permissions of the agent, open and resolved. */
  requests(instanceId: string, options?: ListOptions): AsyncGenerator<PendingRequest, void> {
    return this.#list("listRequests", instanceId, "requests", {}, options);
  }

  /** Resolves a question or permission; the first answer wins. */
  async answer(instanceId: string, requestId: string, answer: RequestAnswer, options?: CallOptions): Promise<void> {
    const call = this.#call("answer", "POST", instanceId, ["requests", requestId], options);
    await this.#transport.text({ ...call, json: given(answer), repeatable: false });
  }

  /** Ends a running turn. */
  async cancel(instanceId: string, turnId: string, options?: CallOptions): Promise<void> {
    await this.#transport.text(this.#call("cancelTurn", "POST", instanceId, ["turns", turnId, "cancel"], options));
  }

  #list<T>(operation: string, instanceId: string, route: string, query: Query, options?: ListOptions): AsyncGenerator<T, void> {
    return readPages<T>(this.#transport, { operation, parts: ["instances", instanceId, route], query, instanceId }, options);
  }

  #call(operation: string, method: Call["method"], instanceId: string, parts: string[], options?: CallOptions, query?: Query): Call {
    const path = apiPath(["instances", instanceId, ...parts], query);
    return { operation, method, path, instanceId, signal: options?.signal };
  }
}

function byName([one]: [string, unknown], [other]: [string, unknown]): number {
  return one < other ? -1 : 1;
}
