/** Does what its message says, as an agent in an editor would: `plan`, `edit`, `shell`, `ask`, …; several with blanks between. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

const HOUR_MS = 3_600_000;
const BEFORE = "debug = false\n";
const AFTER = "debug = true\n";
const CHANGE = { path: "settings.toml", old_text: BEFORE, new_text: AFTER };

type Act = (ctx: AgentContext, input: AgentInput) => Promise<void>;

async function say(ctx: AgentContext, text: string): Promise<void> {
  const reply = await ctx.sendMessage();
  const half = Math.floor(text.length / 2);
  await reply.streamToken(text.slice(0, half));
  await reply.streamToken(text.slice(half), { final: true });
}

const ACTS: Readonly<Record<string, Act>> = {
  hello: (ctx) => say(ctx, "Hello, editor!"),
  think: (ctx) =>
    ctx.thinking(async (thoughts) => {
      await thoughts.write("hm, ");
      await thoughts.write("yes");
    }),
  plan: async (ctx) => {
    ctx.plan(["look", { content: "change", status: "in_progress", priority: "high" }]);
  },
  edit: async (ctx) => {
    await ctx.toolCall("edit_file", CHANGE, { title: "Switch debugging on" }, async () => {
      await writeFile(join(ctx.workspace, "settings.toml"), AFTER);
      return "written";
    });
  },
  shell: async (ctx) => {
    await ctx.toolCall("run_tests", { which: "all" }, { kind: "execute" }, async () => {
      const done = await ctx.runCommand("echo one; echo two >&2");
      return { exit_code: done.exitCode };
    });
  },
  command: async (ctx) => {
    await ctx.runCommand("echo alone");
  },
  fail: async (ctx) => {
    const failing = ctx.toolCall("fetch_page", { url: "https://example.invalid" }, () => {
      throw new Error("no network");
    });
    await failing.catch(() => undefined);
  },
  cost: async (ctx) => {
    ctx.usage("small", { inputTokens: 10, outputTokens: 5, costMicroDollars: 2500 });
    ctx.contextWindow(500, 1000);
  },
  permission: async (ctx) => {
    const chosen = await ctx.toolCall("edit_file", CHANGE, async (call) => {
      const option = await ctx.askPermission("edit_file", CHANGE, { toolCallId: call.id });
      return option.optionId || option.outcome;
    });
    await say(ctx, `permission: ${chosen}`);
  },
  choose: async (ctx) => {
    const { answers, outcome } = await ctx.ask({ id: "colour", question: "Which colour?", options: ["red", "blue"] });
    await say(ctx, `colour: ${String(answers["colour"] ?? outcome)}`);
  },
  ask: async (ctx) => {
    const { answers } = await ctx.ask([
      { id: "name", question: "What is it called?" },
      { id: "why", question: "Why?" },
    ]);
    await say(ctx, `answers: ${JSON.stringify(answers)}`);
  },
  settings: (ctx, input) => say(ctx, JSON.stringify(input["settings"] ?? {})),
  switch: async (ctx) => {
    await ctx.toolCall("switch_mode", { mode: "code" }, { kind: "switch_mode" }, () => null);
  },
  attachments: (ctx, input) => say(ctx, JSON.stringify(input.attachments.map((item) => (item as { type: string }).type))),
  wait: async (ctx) => {
    const reply = await ctx.sendMessage();
    await reply.streamToken("waiting");
    await setTimeout(HOUR_MS, undefined, { signal: ctx.signal });
  },
  raise: async () => {
    throw new Error("on purpose");
  },
};

export default class Agent extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    for (const word of input.text.split(/\s+/)) await ACTS[word]?.(ctx, input);
  }
}
