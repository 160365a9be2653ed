/** Reports what a package it depends on left for it. */

import { type AgentContext, BaseAgent } from "@podium/ts";

export default class Agent extends BaseAgent {
  override async onMessage(ctx: AgentContext): Promise<void> {
    const name = "spy";
    const { FOUND } = (await import(name)) as { FOUND: unknown };
    await (await ctx.sendMessage(JSON.stringify(FOUND))).end();
  }
}
