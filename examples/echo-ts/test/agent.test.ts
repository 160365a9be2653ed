/** Plain `bun test`, no server. */

import { expect, test } from "bun:test";

import { AgentHarness } from "@podium/ts/testing";

import Echo from "../src/agent.ts";

test("it says what you said", async () => {
  await using agent = await AgentHarness.start(Echo);
  const turn = await agent.send("hello there");
  expect(turn.text.trim()).toBe("hello there");
  expect(turn.ofType("stream_update")).toHaveLength(2);
});
