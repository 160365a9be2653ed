/** Echo: says what you said. The smallest agent there is. */

import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

/** Streams the message back, word by word. */
export default class Echo extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const reply = await ctx.sendMessage();
    for (const word of input.text.split(" ")) await reply.streamToken(`${word} `);
    await reply.end();
  }
}
