import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

class ValueError extends Error {}

export class Tools extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    await ctx.toolCall("search", { q: input.text }, { kind: "read" }, () => {
      if (input.text === "fail") throw new ValueError("nothing");
      return ["found"];
    });
  }
}

export default Tools;
