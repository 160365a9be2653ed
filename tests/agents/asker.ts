/** Asks a question, or for leave, and says what was answered. */

import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

export default class Agent extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const reply = await ctx.sendMessage();
    if (input.text === "question") {
      const { answers } = await ctx.ask([{ id: "q", question: "Which?", options: ["a", "b"] }]);
      await reply.streamToken(JSON.stringify(answers), { final: true });
      return;
    }
    const { timeout } = input;
    const option = await ctx.askPermission(
      "rm",
      { path: "/x" },
      {
        options: [
          { option_id: "yes", name: "Yes", kind: "allow_once" },
          { option_id: "no", name: "No", kind: "reject_once" },
        ],
        ...(typeof timeout === "number" ? { timeoutMs: timeout * 1000 } : {}),
        default: "no",
      },
    );
    await reply.streamToken(String(option), { final: true });
  }
}
