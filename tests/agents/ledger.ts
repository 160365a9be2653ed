/** Enters every message into its state, and answers how many there are; what crash proofs are made with. */

import { type AgentContext, type AgentInput, BaseAgent, DeltaState } from "@podium/ts";

class State extends DeltaState {
  count = 0;
  entries: string[] = [];
}

export default class Agent extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>, input: AgentInput): Promise<void> {
    const reply = await ctx.sendMessage();
    for (const word of ["one ", "two "]) {
      await reply.thinking(word);
      await Bun.sleep(5);
    }
    ctx.state.entries.push(input.text);
    ctx.state.count += 1;
    await reply.streamToken(String(ctx.state.count), { final: true });
  }
}
