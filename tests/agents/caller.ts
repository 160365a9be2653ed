/** Asks the address it is told with its secret `TOKEN`, and says what it knows and what it was answered. */

import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

async function ask(url: string): Promise<string> {
  try {
    const answer = await fetch(url, { headers: { Authorization: `Bearer ${process.env["TOKEN"]}` } });
    return await answer.text();
  } catch (error) {
    return `failed: ${String(error)}`;
  }
}

export default class Agent extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const said = { environment: process.env, secret: ctx.secrets.get("TOKEN"), answer: await ask(input.text) };
    const reply = await ctx.sendMessage();
    await reply.streamToken(JSON.stringify(said), { final: true });
  }
}
