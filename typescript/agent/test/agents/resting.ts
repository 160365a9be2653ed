import { type AgentContext, BaseAgent } from "@podium/ts";

export default class Resting extends BaseAgent {
  override async onMessage(ctx: AgentContext): Promise<void> {
    await ctx.sendMessage("ok");
  }

  override onIdleTimeout(ctx: AgentContext): boolean {
    return ctx.getConfig("sleepy", false);
  }

  override onShutdown(ctx: AgentContext): void {
    ctx.log.info("bye");
  }
}
