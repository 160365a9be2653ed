import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

export default class Asker extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const option = await ctx.askPermission("rm", { path: input.text });
    await (await ctx.sendMessage(option.optionId)).end();
    const { answers } = await ctx.ask("Why?");
    await ctx.sendMessage(String(answers["q1"]));
  }
}
