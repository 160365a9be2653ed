/** Runs a shell script in its workspace, and says what it printed. */

import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

export default class Agent extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const reply = await ctx.sendMessage();
    if (input.text === "sh") {
      const done = Bun.spawnSync(["sh", "-c", String(input["script"])], { cwd: ctx.workspace });
      await reply.streamToken(done.stdout.toString() + done.stderr.toString(), { final: true });
    } else {
      await reply.streamToken(String(process.pid), { final: true });
    }
  }
}
