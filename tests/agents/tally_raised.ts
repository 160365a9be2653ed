/** The tally in the second version of its layout; what has counted ten can't be moved to it. */

import { type AgentContext, BaseAgent, DeltaState, type Json } from "@podium/ts";

class State extends DeltaState {
  static override version = 2;
  static override entityType = "tally";

  total = 0;
  words: Record<string, number> = {};
  moved_from = 0;

  static override migrate(data: Record<string, Json>, fromVersion: number): Record<string, Json> {
    if (Number(data["count"]) >= 10) throw new RangeError("too many to move");
    return { total: data["count"] ?? 0, words: data["words"] ?? {}, moved_from: fromVersion };
  }
}

export default class Agent extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>): Promise<void> {
    ctx.state.total += 1;
    await (await ctx.sendMessage(String(ctx.state.total))).end();
  }
}
