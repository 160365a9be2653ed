/** Holds whole conversations and prints, as JSON, what an editor saw of them: `bun converse.ts '<a Way>' <directory>`. */

import type * as acp from "@agentclientprotocol/sdk";

import { connected, Shown, type Way } from "./editor.ts";

const way = JSON.parse(process.argv[2] ?? "") as Way;
const cwd = process.argv[3] ?? "";
const CANCEL_AFTER = "waiting";

/** Says something and waits for the end of the turn. What was shown before is forgotten. */
async function say(agent: acp.ClientContext, shown: Shown, sessionId: string, text: string): Promise<acp.StopReason> {
  shown.updates = [];
  return (await agent.request("session/prompt", { sessionId, prompt: [{ type: "text", text }] })).stopReason;
}

function whole(shown: Shown): unknown {
  return {
    answer: shown.text(),
    thoughts: shown.text("agent_thought_chunk"),
    plan: shown.updates.filter((update) => update.sessionUpdate === "plan"),
    edit: shown.call("Switch debugging on"),
    shell: shown.call("run_tests"),
    usage: shown.updates.filter((update) => update.sessionUpdate === "usage_update"),
  };
}

async function cancelled(agent: acp.ClientContext, shown: Shown, sessionId: string): Promise<acp.StopReason> {
  const turn = say(agent, shown, sessionId, "wait");
  while (shown.text() !== CANCEL_AFTER) await Bun.sleep(5);
  await agent.notify("session/cancel", { sessionId });
  return turn;
}

const first = new Shown();
const before = await connected(way, first, async (agent) => {
  const { sessionId } = await agent.request("session/new", { cwd, mcpServers: [] });
  const end = await say(agent, first, sessionId, "hello think plan edit shell cost");
  const live = { ...(whole(first) as object), end };
  const permissions: unknown[] = [];
  for (const take of ["allow_once", "reject_once", undefined] as const) {
    first.take = take;
    permissions.push([await say(agent, first, sessionId, "permission"), first.text()]);
  }
  const stopped = await cancelled(agent, first, sessionId);
  await say(agent, first, sessionId, "ask");
  return { sessionId, live, permissions, asked: first.asked, stopped, form: [first.forms, first.text()] };
});

const second = new Shown();
const after = await connected(way, second, async (agent) => {
  const { sessions } = await agent.request("session/list", { cwd });
  await agent.request("session/load", { sessionId: before.sessionId, cwd, mcpServers: [] });
  const loaded = whole(second);
  const said = second.text("user_message_chunk");
  const end = await say(agent, second, before.sessionId, "hello");
  return { listed: sessions.some(({ sessionId }) => sessionId === before.sessionId), loaded, said, next: [end, second.text()] };
});

console.log(JSON.stringify({ before, after }));
