import { expect, test } from "bun:test";

import { type AgentContext, type AgentInput, BaseAgent, DeltaState, type Json } from "../src/index.ts";
import { AgentHarness } from "../src/testing.ts";

class State extends DeltaState {
  static override version = 1;
  static override entityType = "counter";
  count = 0;
  history: string[] = [];
}

class Counter extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>, input: AgentInput): Promise<void> {
    ctx.state.count += 1;
    ctx.state.history.push(input.text);
    await ctx.sendMessage(`seen ${ctx.deltaState.count}`);
  }
}

test("state is kept over a crash", async () => {
  await using agent = await AgentHarness.start(Counter);
  expect([agent.state, agent.stateVersion]).toEqual([{ count: 0, history: [] }, 1]);
  expect((await agent.send("hello")).text).toBe("seen 1");
  expect(agent.state).toEqual({ count: 1, history: ["hello"] });
  await agent.crashAndRestart();
  expect((await agent.send("again")).text).toBe("seen 2");
  expect(agent.stateVersion).toBe(3);
});

test("what changes in one turn of the loop is one delta, before what is said after the first change", async () => {
  const order: unknown[] = [];
  class Agent extends BaseAgent<State> {
    static override State = State;
    override async onMessage(ctx: AgentContext<State>): Promise<void> {
      ctx.emit("thinking.start", {});
      ctx.state.count = 1;
      await ctx.emit("thinking.progress", { text: "a" });
      ctx.state.count = 2;
      ctx.state.history.push("x");
      await new Promise((resolve) => setTimeout(resolve, 5));
      ctx.state.count = 3;
    }
  }
  await using agent = await AgentHarness.start(Agent);
  const turn = agent.begin("x");
  await turn.until("thinking.start");
  order.push(agent.state, agent.stateVersion);
  await turn.done();
  order.push(agent.state, agent.stateVersion);
  expect(order).toEqual([{ count: 2, history: ["x"] }, 2, { count: 3, history: ["x"] }, 3]);
});

test("an older state is migrated before onInit; fields it lacks take their initial values", async () => {
  class Renamed extends DeltaState {
    static override version = 2;
    total = 0;
    static override migrate(data: Record<string, Json>, fromVersion: number): Record<string, Json> {
      if (typeof data["count"] !== "number") throw new TypeError("no count");
      return { total: data["count"] + fromVersion };
    }
  }
  class Agent extends BaseAgent<Renamed> {
    static override State = Renamed;
    override onInit(ctx: AgentContext<Renamed>): void {
      ctx.log.info("init", { total: ctx.state.total });
    }
  }
  const stored = { data: { count: 4 }, version: 1 };
  await using agent = await AgentHarness.start(Agent, { state: stored });
  expect([agent.state, agent.stateVersion, agent.logs[0]?.fields]).toEqual([{ total: 5 }, 2, { total: 5 }]);
  const failing = AgentHarness.start(Agent, { state: { data: {}, version: 1 } });
  await expect(failing).rejects.toThrow("MigrationError: migrating from version 1 failed: TypeError: no count");
  const newer = AgentHarness.start(Agent, { state: { data: {}, version: 3 } });
  await expect(newer).rejects.toThrow("deploy the newer code");

  class Wider extends DeltaState {
    count = 0;
    names: string[] = ["a"];
  }
  class Next extends BaseAgent<Wider> {
    static override State = Wider;
  }
  await using next = await AgentHarness.start(Next, { state: stored });
  await next.send("x");
  expect([next.state, next.stateVersion]).toEqual([{ count: 4, names: ["a"] }, 2]);
});

test("a new agent's state is sent whole, and onInit may change it", async () => {
  class Agent extends BaseAgent<State> {
    static override State = State;
    override onInit(ctx: AgentContext<State>): void {
      ctx.state.count = 7;
    }
  }
  await using agent = await AgentHarness.start(Agent);
  expect([agent.state, agent.stateVersion]).toEqual([{ count: 7, history: [] }, 2]);
  await agent.restart();
  expect(agent.stateVersion).toBe(2);
});

test("operations too long for one frame are sent in several", async () => {
  class Agent extends BaseAgent<State> {
    static override State = State;
    override onMessage(ctx: AgentContext<State>): void {
      for (let n = 0; n < 10; n += 1) ctx.state.history.push(String(n).repeat(2_000_000));
    }
  }
  await using agent = await AgentHarness.start(Agent);
  await agent.send("x");
  expect(agent.stateVersion).toBeGreaterThan(3);
  expect((agent.state["history"] as string[]).map((text) => text[0]).join("")).toBe("0123456789");
});
