import { expect, test } from "bun:test";

import { type AgentContext, type AgentInput, AgentUsageError, BaseAgent } from "../src/index.ts";
import { AgentHarness, type HarnessOptions, type HarnessTurn } from "../src/testing.ts";

type Act = (ctx: AgentContext, input: AgentInput) => unknown;

function doing(act: Act): () => BaseAgent {
  return () =>
    new (class extends BaseAgent {
      override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
        await act(ctx, input);
      }
    })();
}

async function said(act: Act, options: HarnessOptions = {}): Promise<HarnessTurn> {
  await using agent = await AgentHarness.start(doing(act), options);
  const turn = await agent.send("hello", { topic: "x" });
  expect(turn.error).toBeNull();
  return turn;
}

const contents = (turn: HarnessTurn): unknown[] => turn.events.map((event) => [event.type, event.content]);

test("a message has one start and one end, also when it is left open", async () => {
  const turn = await said(async (ctx) => {
    await ctx.sendMessage("a");
    const second = await ctx.sendMessage();
    await second.streamToken("b");
    await second.streamToken("c");
  });
  expect(contents(turn)).toEqual([
    ["stream_start", { message_id: turn.message.id, attempt: 1 }],
    ["stream_update", { text: "a" }],
    ["stream_end", { text: "a", stop_reason: "end_turn" }],
    ["stream_start", { message_id: turn.message.id, attempt: 1 }],
    ["stream_update", { text: "b" }],
    ["stream_update", { text: "c" }],
    ["stream_end", { text: "bc", stop_reason: "end_turn" }],
  ]);
  expect(turn.text).toBe("abc");
});

test("a message that has ended takes no more", async () => {
  await said(async (ctx) => {
    const reply = await ctx.sendMessage("a");
    await reply.end("max_tokens");
    await reply.end();
    await expect(reply.streamToken("b")).rejects.toThrow(AgentUsageError);
    expect([reply.ended, reply.text]).toEqual([true, "a"]);
  });
});

test("a pair of surrogates cut by the caller stays whole, and half a pair becomes a replacement", async () => {
  const turn = await said(async (ctx) => {
    const reply = await ctx.sendMessage();
    await reply.streamToken("a\ud83d");
    await reply.streamToken("\ude00b");
    await reply.streamToken("\ud83d", { final: true });
  });
  expect(turn.text).toBe("a😀b\ufffd");
});

test("a long token is sent in pieces, and its end is cut to what an event holds", async () => {
  const text = "ü".repeat(700_000);
  const turn = await said(async (ctx) => {
    await ctx.sendMessage(text);
  });
  const pieces = turn.ofType("stream_update").map((event) => event.text("text"));
  expect(pieces.length).toBeGreaterThan(4);
  expect(pieces.join("")).toBe(text);
  expect(text.startsWith(turn.text)).toBe(true);
  expect(turn.text.length).toBeGreaterThan(500_000);
});

test("thoughts are closed before the text, by leaving, and by an exception", async () => {
  const turn = await said(async (ctx) => {
    {
      await using thoughts = ctx.thinking();
      await thoughts.write("a");
    }
    const failed = ctx.thinking(async (thoughts) => {
      await thoughts.write("b");
      throw new Error("no");
    });
    await expect(failed).rejects.toThrow("no");
    await failed.catch(() => undefined);
    const reply = await ctx.sendMessage();
    await reply.thinking("c");
    await reply.streamToken("d", { final: true });
  });
  const thought = ["thinking.start", "thinking.progress", "thinking.complete"];
  expect(turn.types).toEqual([...thought, ...thought, "stream_start", ...thought, "stream_update", "stream_end"]);
});

test("a tool call gives its arguments, its result or its error", async () => {
  const turn = await said(async (ctx) => {
    expect(await ctx.toolCall("add", { a: 1 }, { kind: "other", title: "Adds" }, () => 2)).toBe(2);
    {
      await using call = ctx.toolCall("read", undefined);
      await call.delta('{"path":');
      await call.delta('"x"}');
      call.result = null;
    }
    {
      await using _left = ctx.toolCall("leave", {});
    }
    await ctx
      .toolCall("fail", {}, () => {
        throw new RangeError("far");
      })
      .catch(() => undefined);
  });
  const [add, , , read] = turn.events.map((event) => event.content["tool_call_id"]);
  expect(add).toMatch(/^call-[a-z2-7]{16}$/);
  expect(contents(turn).slice(0, 8)).toEqual([
    ["tool.call_start", { tool_call_id: add, tool_name: "add", kind: "other", title: "Adds" }],
    ["tool.call", { tool_call_id: add, tool_name: "add", arguments: { a: 1 } }],
    ["tool.result", { tool_call_id: add, tool_name: "add", result: 2 }],
    ["tool.call_start", { tool_call_id: read, tool_name: "read" }],
    ["tool.call_delta", { tool_call_id: read, arguments_delta: '{"path":' }],
    ["tool.call_delta", { tool_call_id: read, arguments_delta: '"x"}' }],
    ["tool.call", { tool_call_id: read, tool_name: "read", arguments: { path: "x" } }],
    ["tool.result", { tool_call_id: read, tool_name: "read", result: null }],
  ]);
  const errors = turn.ofType("tool.error").map((event) => event.content["message"]);
  expect(errors).toEqual(["the call was left without a result", "RangeError: far"]);
});

test("a tool call is told before what it does", async () => {
  const turn = await said(async (ctx) => {
    await ctx.toolCall("say", { a: 1 }, async () => {
      await ctx.sendMessage("inside");
    });
  });
  const expected = ["tool.call_start", "tool.call", "stream_start", "stream_update", "tool.result", "stream_end"];
  expect(turn.types).toEqual(expected);
});

test("usage, context window and plan are told at once", async () => {
  const turn = await said((ctx) => {
    ctx.usage("m", { provider: "p", inputTokens: 1, outputTokens: 2, cachedTokens: 3, costMicroDollars: 4 });
    ctx.contextWindow(1, 3);
    ctx.plan(["a", { content: "b", status: "completed", priority: "high" }]);
  });
  const usage = { model: "m", provider: "p", input_tokens: 1, output_tokens: 2, cached_tokens: 3, cost_micro_dollars: 4 };
  expect(contents(turn)).toEqual([
    ["usage.update", usage],
    ["usage.context", { total_tokens: 1, max_tokens: 3, percent_used: 33.33 }],
    [
      "plan.updated",
      { entries: [{ content: "a", status: "pending" }, { content: "b", status: "completed", priority: "high" }] },
    ],
  ]);
});

test("only events of agents can be emitted, with content that fits", async () => {
  const turn = await said(async (ctx) => {
    const emit = ctx.emit.bind(ctx) as (type: string, content: unknown) => PromiseLike<void>;
    expect(() => emit("checkpoint", {})).toThrow("an agent may not emit");
    expect(() => emit("thinking.progress", {})).toThrow("`text` is missing");
    expect(() => emit("usage.context", { total_tokens: 1.5, max_tokens: 1, percent_used: 1 })).toThrow("integer");
    expect(() => emit("tool.call", { tool_call_id: "c", tool_name: "t", arguments: 1n })).toThrow(AgentUsageError);
    expect(() => emit("thinking.progress", { text: "x".repeat(1 << 20) })).toThrow("bytes of content");
    await emit("thinking_update", { text: "alias", unknown: 1 });
  });
  expect(contents(turn)).toEqual([["thinking.progress", { text: "alias" }]]);
});

test("a context knows where it is", async () => {
  let ctx: AgentContext | undefined;
  await said(
    (given, input) => {
      ctx = given;
      expect([input.text, input.role, input.attachments, input["topic"]]).toEqual(["hello", "user", [], "x"]);
      expect(given.turn?.attempt).toBe(1);
      expect(given.turn?.origin).toEqual({ tenantId: "test", role: "user", channel: "stream" });
      expect([given.agentType, given.deploymentId]).toEqual(["harness", "harness:0.0.0@00000000"]);
      expect([given.agentId.slice(0, 4), given.instanceId.slice(0, 5)]).toEqual(["agt-", "inst-"]);
      expect(given.getConfig("a.b", 2)).toBe(1);
      expect(given.getConfig("a.c", "none")).toBe("none");
      expect(given.getConfig("x.y")).toBe(3);
      expect(given.getConfig("constructor", "none")).toBe("none");
      expect(() => given.state).toThrow("declares no State");
      expect(given.cancelled).toBe(false);
    },
    { config: { a: { b: 1 }, "x.y": 3 } },
  );
  await expect(ctx?.sendMessage("late")).rejects.toThrow("is over");
});

test("secrets are given and never shown", async () => {
  await said(
    (ctx) => {
      const { secrets } = ctx;
      expect([secrets.get("KEY"), secrets.has("KEY"), secrets.get("NONE"), secrets.size]).toEqual(["s3cret", true, undefined, 1]);
      const shown = [Bun.inspect(secrets), Bun.inspect({ secrets }), JSON.stringify({ secrets }), `${secrets}`];
      shown.push(Bun.inspect(ctx, { depth: 9 }), JSON.stringify([...secrets]));
      for (const text of shown) expect(text).not.toContain("s3cret");
      expect(shown[0]).toBe("Secrets(KEY=…)");
    },
    { secrets: { KEY: "s3cret" } },
  );
});

test("log records keep what JSON can't hold as text", async () => {
  await using agent = await AgentHarness.start(
    doing((ctx) => {
      const loop: { self?: unknown } = {};
      loop.self = loop;
      ctx.log.info("paid", { amount: 3, big: 1n, loop, nan: Number.NaN, nested: { a: [1] } });
      ctx.log.error("bad", { error: new TypeError("why", { cause: new Error("because") }) });
      ctx.log.warn("\ud800");
    }),
  );
  await agent.send("x");
  const [paid, bad, odd] = agent.logs;
  expect(paid).toMatchObject({ level: "info", message: "paid", module: "harness" });
  expect(paid?.fields).toEqual({ amount: 3, big: "1", loop: "[object Object]", nan: "NaN", nested: { a: [1] } });
  expect(String(bad?.fields?.["error"])).toMatch(/^TypeError: why\n[^]+caused by Error: because\n/);
  expect([odd?.level, odd?.message]).toEqual(["warning", "\ufffd"]);
});

test("the conversation can be read", async () => {
  await said(async (ctx) => {
    expect(await ctx.messages(1)).toMatchObject([{ role: "user", text: "hello", topic: "x" }]);
  });
});
