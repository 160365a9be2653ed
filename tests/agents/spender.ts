/** Spends as many micro-dollars as it is told, one call of a model after the other, and says how often it began. */

import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

export default class Agent extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const [calls, price] = input.text.split("x").map(Number);
    const reply = await ctx.sendMessage();
    for (let call = 0; call < (calls ?? 0); call += 1) {
      await ctx.usage("model", { costMicroDollars: price ?? 0 });
      await Bun.sleep(10);
    }
    await reply.streamToken(`attempt ${ctx.turn?.attempt}`, { final: true });
  }
}
