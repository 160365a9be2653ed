import { expect, test } from "bun:test";

import { type AgentContext, type AgentInput, BaseAgent, TurnCancelled } from "../src/index.ts";
import { AgentHarness, AgentStartError, HarnessTimeoutError } from "../src/testing.ts";

type Act = (ctx: AgentContext, input: AgentInput) => unknown;

function doing(act: Act): () => BaseAgent {
  return () =>
    new (class extends BaseAgent {
      override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
        await act(ctx, input);
      }
    })();
}

const never = (): Promise<never> => new Promise(() => undefined);

test("an exception fails the turn, closes its answer, and the agent lives on", async () => {
  class NoSuchThing extends Error {}
  await using agent = await AgentHarness.start(
    doing(async (ctx, { text }) => {
      await ctx.sendMessage("half");
      if (text === "fail") throw new NoSuchThing("gone");
      if (text === "odd") throw "a text";
    }),
  );
  const failed = await agent.send("fail");
  expect([failed.error, failed.stopReason]).toEqual(["NoSuchThing: gone", "error"]);
  expect(failed.ofType("stream_end")[0]?.content).toEqual({ text: "half", stop_reason: "error" });
  expect(String(agent.logs[0]?.fields?.["traceback"])).toMatch(/^NoSuchThing: gone\n +at .*turns\.test\.ts/);
  expect((await agent.send("odd")).error).toBe("string: a text");
  expect((await agent.send("fine")).error).toBeNull();
});

test("cancelling a turn makes its calls throw, and ends its answer as cancelled", async () => {
  const caught: unknown[] = [];
  await using agent = await AgentHarness.start(
    doing(async (ctx) => {
      await ctx.sendMessage("a");
      try {
        await ctx.ask("Why?");
      } catch (error) {
        caught.push(error, ctx.cancelled, ctx.signal.reason === error);
        await ctx.sendMessage("more").catch((again: unknown) => caught.push(again));
        throw error;
      }
    }),
  );
  const turn = agent.begin("x");
  await turn.until("tool.question_requested");
  turn.cancel();
  await turn.done();
  expect([turn.stopReason, turn.error, turn.text]).toEqual(["cancelled", null, "a"]);
  expect(turn.ofType("stream_end")[0]?.content["stop_reason"]).toBe("cancelled");
  expect(caught).toEqual([expect.any(TurnCancelled), true, true, expect.any(TurnCancelled)]);
  expect(agent.logs).toEqual([]);
});

test("code that only streams is reached by a cancel", async () => {
  await using agent = await AgentHarness.start(
    doing(async (ctx) => {
      const reply = await ctx.sendMessage();
      for (;;) await reply.streamToken("x".repeat(1000));
    }),
  );
  const turn = agent.begin("x");
  await turn.until("stream_update", 10);
  turn.cancel();
  expect((await turn.done()).stopReason).toBe("cancelled");
});

test("a turn that swallows its cancellation still counts as cancelled, and an error of its own is logged", async () => {
  await using agent = await AgentHarness.start(
    doing(async (ctx, { text }) => {
      await ctx.ask("Why?").catch(() => undefined);
      if (text === "fail") throw new Error("in the way out");
    }),
  );
  for (const text of ["swallow", "fail"]) {
    const turn = agent.begin(text);
    await turn.until("tool.question_requested");
    turn.cancel();
    expect([(await turn.done()).stopReason, turn.error]).toEqual(["cancelled", null]);
  }
  expect(agent.logs.map((record) => record.message)).toEqual(["the cancelled turn threw"]);
});

test("fetch and the like end with the turn's signal", async () => {
  await using agent = await AgentHarness.start(
    doing(async (ctx) => {
      ctx.emit("thinking.start", {});
      await new Promise((_resolve, reject) => ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason)));
    }),
  );
  const turn = agent.begin("x");
  await turn.until("thinking.start");
  turn.cancel();
  expect((await turn.done()).stopReason).toBe("cancelled");
});

test("a message that waits is cancelled without running", async () => {
  const ran: string[] = [];
  await using agent = await AgentHarness.start(
    doing(async (ctx, { text }) => {
      ran.push(text);
      for await (const steer of ctx.steering()) return void ran.push(steer);
    }),
  );
  const first = agent.begin("a");
  const second = agent.begin("b");
  first.steer("go");
  await first.done();
  second.cancel();
  await second.done();
  expect([first.stopReason, second.stopReason, ran]).toEqual(["end_turn", "cancelled", ["a", "go"]]);
});

test("steers reach handlers, and otherwise those who read them", async () => {
  const heard: string[] = [];
  class Steered extends BaseAgent {
    constructor() {
      super();
      this.on("steer", (text) => void heard.push(`agent ${text}`));
    }
    override async onMessage(ctx: AgentContext): Promise<void> {
      ctx.on("steer", (text) => {
        heard.push(`turn ${text}`);
        ctx.emit("thinking.complete", {});
      });
      ctx.emit("thinking.start", {});
      await Promise.race([never(), new Promise((done) => ctx.on("steer", done))]);
      for await (const text of ctx.steering({ wait: false })) heard.push(`left ${text}`);
    }
  }
  await using agent = await AgentHarness.start(Steered);
  for (const text of ["a", "b"]) {
    const turn = agent.begin("x");
    await turn.until("thinking.start");
    turn.steer(text);
    await turn.done();
  }
  expect(heard).toEqual(["turn a", "agent a", "turn b", "agent b"]);
});

test("a crash runs the turn again, with the attempt one higher", async () => {
  await using agent = await AgentHarness.start(
    doing(async (ctx) => {
      const reply = await ctx.sendMessage(`attempt ${ctx.turn?.attempt}`);
      if (ctx.turn?.attempt === 1) await never();
      await reply.end();
    }),
  );
  const turn = agent.begin("x");
  await turn.until("stream_update");
  await agent.crashAndRestart();
  expect((await turn.done()).text).toBe("attempt 2");
  expect(turn.ofType("stream_start").map((event) => event.content["attempt"])).toEqual([1, 2]);
});

test("permissions and questions are answered, dismissed and expired", async () => {
  const outcomes: unknown[] = [];
  await using agent = await AgentHarness.start(
    doing(async (ctx) => {
      const options = ["allow_always", { kind: "reject_once", option_id: "no", name: "Never" }] as const;
      const chosen = await ctx.askPermission("rm", { path: "/" }, { options, default: "no", timeoutMs: 1000 });
      outcomes.push([`${chosen}`, chosen.granted, chosen.kind, chosen.name, chosen.outcome]);
      outcomes.push(await ctx.ask(["Why?", { question: "How?", id: "how", options: ["a", "b"], multiple: true }]));
    }),
  );
  const turn = agent.begin("x");
  const asked = await turn.until("tool.permission_requested");
  expect(asked.content["options"]).toEqual([
    { option_id: "allow_always", name: "Always allow", kind: "allow_always" },
    { option_id: "no", name: "Never", kind: "reject_once" },
  ]);
  expect(Number(asked.content["expires_at"]) - Date.now()).toBeLessThanOrEqual(1000);
  agent.expire(asked);
  const question = await turn.until("tool.question_requested");
  expect(question.content["questions"]).toEqual([
    { id: "q1", question: "Why?" },
    { id: "how", question: "How?", options: ["a", "b"], multiple: true },
  ]);
  agent.answer(question, { q1: "so", how: ["a"] });
  await turn.done();
  expect(outcomes).toEqual([
    ["no", false, "reject_once", "Never", "expired"],
    { outcome: "answered", answers: { q1: "so", how: ["a"] } },
  ]);
  const next = agent.begin("y");
  agent.answer(await next.until("tool.permission_requested"), "allow_always");
  agent.answer(await next.until("tool.question_requested"), null);
  await next.done();
  expect(outcomes.slice(2)).toEqual([
    ["allow_always", true, "allow_always", "Always allow", "selected"],
    { outcome: "dismissed", answers: {} },
  ]);
});

test("an answer given while the process was away is found; another question is another request", async () => {
  await using agent = await AgentHarness.start(
    doing(async (ctx) => {
      const chosen = await ctx.askPermission("rm", { path: "a" });
      await ctx.askPermission("rm", { path: chosen.optionId });
    }),
  );
  const turn = agent.begin("x");
  const first = await turn.until("tool.permission_requested");
  await agent.crash();
  agent.answer(first, "allow_once");
  await agent.wake();
  const second = await turn.until("tool.permission_requested", 2);
  expect(second.content["arguments"]).toEqual({ path: "allow_once" });
  expect(second.text("request_id")).not.toBe(first.text("request_id"));
  agent.answer(second, "reject_once");
  expect((await turn.done()).error).toBeNull();
});

test("harness options answer what is asked", async () => {
  await using agent = await AgentHarness.start(
    doing(async (ctx) => {
      const chosen = await ctx.askPermission("rm");
      const { answers } = await ctx.ask("Why?");
      await ctx.sendMessage(`${chosen} ${answers["q1"]}`);
    }),
    { permissions: () => "allow_once", questions: { q1: "because" } },
  );
  expect((await agent.send("x")).text).toBe("allow_once because");
});

test("what can't be asked is refused", async () => {
  await using agent = await AgentHarness.start(
    doing(async (ctx) => {
      await expect(ctx.askPermission("rm", {}, { options: [] })).rejects.toThrow("needs options");
      await expect(ctx.askPermission("rm", {}, { default: "maybe" })).rejects.toThrow("none of the options");
      await expect(ctx.askPermission("rm", {}, { options: ["maybe" as "allow_once"] })).rejects.toThrow("expected one of");
      await expect(ctx.ask([])).rejects.toThrow("needs questions");
      await expect(ctx.ask(["a", { id: "q1", question: "b" }])).rejects.toThrow("an id of its own");
    }),
  );
  expect((await agent.send("x")).error).toBeNull();
});

test("the hooks run, in their order, with listeners before them", async () => {
  const told: unknown[] = [];
  class Hooked extends BaseAgent {
    constructor(config: Readonly<Record<string, unknown>>) {
      super(config);
      told.push(["made", config]);
      for (const event of ["init", "message", "configChange", "shutdown"] as const) {
        this.on(event, () => void told.push(`on ${event}`));
      }
      this.on("init", () => void told.push("twice"))();
    }
    override onInit(ctx: AgentContext): void {
      told.push("onInit");
      ctx.emit("thinking.start", {});
    }
    override async run(ctx: AgentContext): Promise<void> {
      told.push("run");
      await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
      told.push("run ends");
    }
    override onMessage(): void {
      told.push("onMessage");
    }
    override onConfigChange(ctx: AgentContext, changes: Readonly<Record<string, unknown>>): void {
      told.push(["onConfigChange", changes, ctx.config, this.config]);
    }
    override onIdleTimeout(): boolean {
      if (this.config["broken"] === true) throw new Error("no");
      return true;
    }
    override async onShutdown(ctx: AgentContext): Promise<void> {
      await ctx.emit("thinking.complete", {});
      told.push("onShutdown");
    }
  }
  const agent = await AgentHarness.start(Hooked, { config: { a: 1 } });
  await agent.send("x");
  expect(await agent.idle()).toBe(true);
  await agent.changeConfig({ broken: true });
  expect(await agent.idle()).toBe(false);
  expect(await agent.stop()).toBe(0);
  const config = { a: 1, broken: true };
  expect(told).toEqual([
    ["made", { a: 1 }],
    ...["on init", "onInit", "run", "on message", "onMessage", "on configChange"],
    ["onConfigChange", { broken: true }, config, config],
    ...["run ends", "on shutdown", "onShutdown"],
  ]);
  expect(agent.events.map((event) => [event.type, event.turnId])).toEqual([
    ["thinking.start", ""],
    ["thinking.complete", ""],
  ]);
  expect(agent.logs.map((record) => record.message)).toEqual(["onIdleTimeout failed"]);
  await agent[Symbol.asyncDispose]();
});

test("an agent that can't start says why", async () => {
  class Broken extends BaseAgent {
    override onInit(): void {
      throw new RangeError("no model");
    }
  }
  const starting = AgentHarness.start(Broken);
  await expect(starting).rejects.toThrow(AgentStartError);
  await expect(starting).rejects.toThrow("RangeError: no model");
  await starting.catch(() => undefined);
});

test("a turn that runs when the agent stops is run again by the next process", async () => {
  let ended = 0;
  await using agent = await AgentHarness.start(
    doing(async (ctx) => {
      ctx.emit("thinking.start", {});
      try {
        if (ctx.turn?.attempt === 1) await ctx.ask("Why?");
      } finally {
        ended += 1;
      }
    }),
  );
  const turn = agent.begin("x");
  await turn.until("tool.question_requested");
  await agent.restart();
  await turn.done();
  expect([turn.attempt, ended, turn.stopReason]).toEqual([2, 2, "end_turn"]);
});

test("waiting for what does not happen ends, and says what did", async () => {
  await using agent = await AgentHarness.start(
    doing((ctx) => void ctx.emit("thinking.start", {})),
    { timeoutMs: 200 },
  );
  const turn = await agent.send("x");
  await expect(turn.until("stream_end")).rejects.toThrow(HarnessTimeoutError);
  await expect(turn.until("stream_end")).rejects.toThrow("it said thinking.start");
});
