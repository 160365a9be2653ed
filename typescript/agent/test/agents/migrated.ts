import { type AgentContext, BaseAgent, DeltaState, type Json } from "@podium/ts";

class State extends DeltaState {
  static override version = 2;
  total = 0;

  static override migrate(data: Record<string, Json>, _fromVersion: number): Record<string, Json> {
    return { total: data["count"] ?? 0 };
  }
}

export class Migrated extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>): Promise<void> {
    await ctx.sendMessage(String(ctx.state.total));
  }
}
