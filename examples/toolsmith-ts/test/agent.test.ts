/** Plain `bun test`, no server: every kind of event, and each way a question can be answered. */

import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { AgentHarness } from "@podium/ts/testing";

import Toolsmith from "../src/agent.ts";

const EVENTS = [
  ...["thinking.start", "thinking.progress", "thinking.complete", "plan.updated"],
  ...["tool.call_start", "tool.call_delta", "tool.call", "tool.result", "tool.error"],
  ...["tool.question_requested", "tool.permission_requested"],
  ...["terminal.stream", "terminal.complete", "usage.update", "usage.context"],
  ...["stream_start", "stream_update", "stream_end"],
];

test("it makes a tool and uses every event on the way", async () => {
  await using agent = await AgentHarness.start(Toolsmith, { questions: { name: "count-words" }, permissions: "allow" });
  const turn = await agent.send("make a tool");
  expect(turn.text).toBe("I made count-words.sh, and it works. That is tool number 1. ");
  expect(existsSync(join(agent.workspace, "count-words.sh"))).toBeTrue();
  expect(agent.state).toEqual({ tools: ["count-words"], may_write: false });
  expect(turn.ofType("terminal.stream").map((event) => event.text("data")).join("")).toBe("3\n");
  for (const name of EVENTS) expect(turn.types).toContain(name);
});

test("without leave it writes nothing", async () => {
  await using agent = await AgentHarness.start(Toolsmith, { questions: { name: "x" }, permissions: "reject" });
  expect((await agent.send("make a tool")).text).toBe("Then I leave it.");
  expect(readdirSync(agent.workspace)).toEqual([]);
});

test("always allowed, it does not ask again", async () => {
  await using agent = await AgentHarness.start(Toolsmith, { questions: { name: "a" }, permissions: "always" });
  await agent.send("make a tool");
  expect((await agent.send("make another")).types).not.toContain("tool.permission_requested");
  expect((await agent.send("hello")).text).toEndWith("Made so far: a, a.");
});

test("a question nobody answers takes its default", async () => {
  await using agent = await AgentHarness.start(Toolsmith, { permissions: "allow" });
  const turn = agent.begin("make a tool");
  agent.expire(await turn.until("tool.question_requested"));
  await turn.done();
  expect(agent.state).toMatchObject({ tools: ["words"] });
});
