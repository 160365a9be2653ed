import { type AgentContext, BaseAgent } from "@podium/ts";

export default class Waiter extends BaseAgent {
  override async onMessage(ctx: AgentContext): Promise<void> {
    const reply = await ctx.sendMessage("waiting");
    for await (const text of ctx.steering()) {
      await reply.streamToken(text, { final: true });
      return;
    }
  }
}
