/** Plain `bun test`, no server: state, and what a crash in the middle of a turn leaves. */

import { expect, test } from "bun:test";

import { AgentHarness } from "@podium/ts/testing";

import Counter from "../src/agent.ts";

test("it counts messages and remembers them", async () => {
  await using agent = await AgentHarness.start(Counter);
  await agent.send("one");
  expect((await agent.send("two")).text).toBe("message 2: 'two'");
  expect(agent.state).toMatchObject({ history: ["one", "two"] });
  await agent.restart();
  expect((await agent.send("three")).text).toBe("message 3: 'three'");
});

test("a long count goes on after a crash and counts its message once", async () => {
  await using agent = await AgentHarness.start(Counter, { config: { pause_ms: 1 } });
  const turn = agent.begin("count to 30");
  await turn.until("stream_update", 10);
  await agent.crashAndRestart();
  await turn.done();
  const numbers = turn.ofType("stream_update").map((event) => Number(event.text("text")));
  const counted = new Set(numbers.filter((number) => !Number.isNaN(number)));
  expect([...counted].sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, at) => at + 1));
  expect(agent.state).toMatchObject({ count: 1, reached: 0 });
});
