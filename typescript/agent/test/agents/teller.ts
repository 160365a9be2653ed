import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

class ValueError extends Error {}

export default class Teller extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const reply = await ctx.sendMessage();
    for (const word of input.text.split(" ")) {
      if (word === "think") await reply.thinking("hm");
      else if (word === "fail") throw new ValueError("no");
      else await reply.streamToken(word);
    }
  }
}
