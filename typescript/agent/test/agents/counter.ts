import { type AgentConfig, type AgentContext, type AgentInput, BaseAgent, DeltaState } from "@podium/ts";

class State extends DeltaState {
  static override version = 1;
  static override entityType = "counter";
  count = 0;
  history: string[] = [];
}

class Counter extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>, input: AgentInput): Promise<void> {
    ctx.state.count += 1;
    ctx.state.history.push(input.text);
    const reply = await ctx.sendMessage("", "agent");
    await reply.streamToken(`seen ${ctx.deltaState.count}`, { final: true });
  }
}

export default (config: AgentConfig): Counter => new Counter(config);
