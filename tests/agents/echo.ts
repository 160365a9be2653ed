/** Says what it was told, and the how-manieth message that was. */

import { type AgentContext, type AgentInput, BaseAgent, DeltaState } from "@podium/ts";

class State extends DeltaState {
  count = 0;
}

export default class Agent extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>, input: AgentInput): Promise<void> {
    ctx.state.count += 1;
    const reply = await ctx.sendMessage();
    await reply.streamToken(`${ctx.state.count}: ${input.text}`, { final: true });
  }
}
