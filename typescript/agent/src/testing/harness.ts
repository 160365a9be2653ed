/** An agent in-process: send a message, look at its events, assert on its state. */
/// <reference lib="esnext.disposable" preserve="true" />

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { AgentConfig } from "../agent.ts";
import { type AgentFactory, type AgentMaker, factoryOf } from "../entry.ts";
import { newId } from "../ids.ts";
import { serve } from "../serve.ts";
import type { Json } from "../state/index.ts";
import { settledWithin } from "../waiting.ts";
import { LINK_PROTOCOL, type Log } from "../wire/link.ts";
import { MemoryCoordinator, type Resolution } from "./coordinator.ts";
import { AgentHarnessError, AgentStartError, HarnessTimeoutError } from "./errors.ts";
import { memoryLink } from "./memory.ts";
import { HarnessEvent, HarnessTurn } from "./turn.ts";
import { HarnessVersions } from "./versions.ts";

/** A state to start from: `data` as written by a class with `version`. */
export interface StoredState {
  readonly data: Readonly<Record<string, Json>>;
  readonly version: number;
}

/** Gets the request's event; returns the option's id (permission) or the answers (question), undefined to leave it open. */
export type Responder<Answer> = (event: HarnessEvent) => Answer | null | undefined;

/** How an agent is tried. */
export interface HarnessOptions {
  readonly config?: AgentConfig;
  readonly secrets?: Readonly<Record<string, string>>;
  /** A stored state to start from, also one of an older `version`. */
  readonly state?: StoredState;
  /** Answers permissions: an option's id, or a function of the event. */
  readonly permissions?: string | Responder<string>;
  /** Answers questions: the answers by id, or a function of the event. */
  readonly questions?: Readonly<Record<string, unknown>> | Responder<Readonly<Record<string, unknown>>>;
  /** How long any wait takes at most; 10 s when absent. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;

/**
 * `await using agent = await AgentHarness.start(Counter); const turn = await agent.send("hi"); expect(turn.text)…`
 *
 * Runs the same code as a deployed agent. The agent is what a manifest's `entry` names: a class or a function.
 */
export class AgentHarness implements AsyncDisposable {
  readonly #factory: AgentFactory;
  readonly #options: HarnessOptions;
  readonly #coordinator: MemoryCoordinator;
  readonly #agentId = newId("agt");
  readonly #instanceId = newId("inst");
  #config: AgentConfig;
  #serving: Promise<number> | null = null;
  #folder: string | null = null;

  private constructor(agent: AgentMaker, options: HarnessOptions) {
    this.#factory = factoryOf(agent);
    this.#options = options;
    this.#config = options.config ?? {};
    this.#coordinator = new MemoryCoordinator((event) => this.#respond(event), options.timeoutMs ?? TIMEOUT_MS);
    if (options.state !== undefined) {
      this.#coordinator.state = structuredClone(options.state.data) as { [key: string]: Json };
      this.#coordinator.version = 1;
      this.#coordinator.schema = options.state.version;
    }
  }

  /**
   * Starts an agent; returns when `onInit` has returned.
   *
   * @throws AgentStartError it failed.
   */
  static async start(agent: AgentMaker, options: HarnessOptions = {}): Promise<AgentHarness> {
    const harness = new AgentHarness(agent, options);
    harness.#folder = mkdtempSync(join(tmpdir(), "podium-harness-"));
    harness.#coordinator.versions = new HarnessVersions(harness.#folder);
    try {
      await harness.wake();
    } catch (error) {
      await harness[Symbol.asyncDispose]();
      throw error;
    }
    return harness;
  }

  // ── what there is ──────────────────────────────────────────────────────────────────────────────────────────────

  /** A copy of the state as it is stored, also while no process runs. */
  get state(): Record<string, Json> {
    return structuredClone(this.#coordinator.state ?? {});
  }

  /** Its number: one more with every delta. */
  get stateVersion(): number {
    return this.#coordinator.version;
  }

  /** All events, also those outside turns. */
  get events(): readonly HarnessEvent[] {
    return this.#coordinator.events;
  }

  /** All log records. */
  get logs(): readonly Log[] {
    return this.#coordinator.logs;
  }

  /** The configuration as the agent has it. */
  get config(): AgentConfig {
    return this.#config;
  }

  /** Path of the agent's directory; removed at the end. */
  get workspace(): string {
    if (this.#folder === null) throw new AgentHarnessError("the harness has ended");
    return this.#folder;
  }

  // ── talking ────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Sends a message and waits for the end of its turn.
   *
   * @throws HarnessTimeoutError it did not end in time.
   */
  send(text: string, metadata: Readonly<Record<string, unknown>> = {}): Promise<HarnessTurn> {
    return this.begin(text, metadata).done();
  }

  /** Sends a message and returns its turn while it runs: `until`, `steer`, `cancel`, `done`. */
  begin(text: string, metadata: Readonly<Record<string, unknown>> = {}): HarnessTurn {
    const turn = new HarnessTurn(this.#coordinator, {
      type: "message",
      id: newId("msg"),
      turn_id: newId("turn"),
      data: { text, role: "user", ...metadata },
      origin: { tenant_id: "test" },
      attempt: 1,
    });
    this.#coordinator.begin(turn);
    return turn;
  }

  /** Answers a permission with an option's id, a question with its answers; null dismisses it. */
  answer(request: HarnessEvent | string, answer: string | Readonly<Record<string, unknown>> | null): void {
    const requestId = request instanceof HarnessEvent ? request.text("request_id") : request;
    this.#coordinator.resolve(requestId, resolution(answer));
  }

  /** Lets the deadline of a request pass: its default is taken. */
  expire(request: HarnessEvent): void {
    const standard = request.content["default"];
    const given: Resolution =
      typeof standard === "string"
        ? { outcome: "expired", option_id: standard }
        : { outcome: "expired", answers: (standard ?? null) as Record<string, unknown> | null };
    this.#coordinator.resolve(request.text("request_id"), given);
  }

  /** Changes the configuration; returns when the agent has seen it. */
  async changeConfig(changes: Readonly<Record<string, unknown>>): Promise<void> {
    this.#config = { ...this.#config, ...changes };
    this.#coordinator.send({ type: "config_update", changes, config: this.#config, source: "runtime" });
    await this.#coordinator.settled();
  }

  /** Asks whether the agent may be put to sleep. */
  async idle(): Promise<boolean> {
    const { idleReplies } = this.#coordinator;
    const asked = idleReplies.length;
    this.#coordinator.send({ type: "idle_check" });
    await this.#coordinator.until("idle_reply", () => idleReplies.length > asked);
    return idleReplies.at(-1) === true;
  }

  // ── life ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Stops the agent as a deployment does and wakes it again, from what is stored. */
  async restart(): Promise<void> {
    await this.stop("restart");
    await this.wake();
  }

  /** Ends the agent at once, wherever it is, and wakes it again; a running turn is run again. */
  async crashAndRestart(): Promise<void> {
    await this.crash();
    await this.wake();
  }

  /** Runs `onShutdown`; returns the exit code, null when nothing runs. */
  async stop(reason = "stop"): Promise<number | null> {
    if (this.#serving === null) return null;
    this.#coordinator.send({ type: "shutdown", reason });
    return this.#ended();
  }

  /** Ends the agent at once. */
  async crash(): Promise<void> {
    if (this.#serving === null) return;
    this.#coordinator.disconnect();
    await this.#ended();
  }

  /**
   * Starts the agent again, from what is stored; returns when `onInit` has returned.
   *
   * @throws AgentStartError it failed.
   */
  async wake(): Promise<void> {
    if (this.#serving !== null) throw new AgentHarnessError("the agent runs");
    const [ours, theirs] = memoryLink();
    const coordinator = this.#coordinator;
    coordinator.connect(ours);
    this.#serving = serve(theirs, this.#factory, {
      made: (instance) => {
        coordinator.instance = instance;
      },
    });
    coordinator.send({
      type: "init",
      protocol: LINK_PROTOCOL,
      agent_id: this.#agentId,
      instance_id: this.#instanceId,
      agent_type: "harness",
      deployment_id: "harness:0.0.0@00000000",
      workspace: this.workspace,
      config: { ...this.#config },
      secrets: { ...this.#options.secrets },
      state: coordinator.state,
      state_version: coordinator.version,
      state_schema: coordinator.schema,
    });
    await coordinator.until("ready", () => coordinator.ready !== null || coordinator.initError !== null);
    if (coordinator.initError === null) return;
    await this.#ended();
    const stacks = this.logs.filter((record) => record.level === "error").map((record) => record.fields?.["traceback"]);
    throw new AgentStartError([coordinator.initError, ...stacks].join("\n"));
  }

  /** Stops the agent and removes its directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } finally {
      if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true });
      this.#folder = null;
    }
  }

  async #ended(): Promise<number> {
    const serving = this.#serving ?? Promise.resolve(0);
    const timeoutMs = this.#options.timeoutMs ?? TIMEOUT_MS;
    if (!(await settledWithin(timeoutMs, serving))) {
      throw new HarnessTimeoutError(`the agent did not end within ${timeoutMs} ms`);
    }
    await this.#coordinator.until("the link's end", () => !this.#coordinator.connected); // its last words come before
    this.#coordinator.instance = null;
    this.#serving = null;
    return serving;
  }

  #respond(event: HarnessEvent): Resolution | null {
    const { permissions, questions } = this.#options;
    const responder = event.type === "tool.permission_requested" ? permissions : questions;
    const given = typeof responder === "function" ? responder(event) : responder;
    return given === undefined ? null : resolution(given);
  }
}

function resolution(answer: string | Readonly<Record<string, unknown>> | null): Resolution {
  if (answer === null) return { outcome: "dismissed" };
  return typeof answer === "string" ? { outcome: "selected", option_id: answer } : { outcome: "answered", answers: answer };
}
