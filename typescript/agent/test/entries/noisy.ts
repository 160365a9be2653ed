import { type AgentContext, BaseAgent } from "@podium/ts";

console.log("module loaded");

export default class Noisy extends BaseAgent {
  override async onMessage(ctx: AgentContext): Promise<void> {
    console.log("to stdout", ctx.secrets);
    console.error("to stderr");
    void Promise.reject(new RangeError("nobody looks"));
    setTimeout(() => {
      throw new TypeError("from a timer");
    }, 1);
    await Bun.sleep(20);
    await ctx.sendMessage("still here");
  }
}
