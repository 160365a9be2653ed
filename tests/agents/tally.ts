/** Counts words, in a state of the first version of its layout. */

import { type AgentContext, type AgentInput, BaseAgent, DeltaState } from "@podium/ts";

interface Said {
  text: string;
  size: { words: number; later?: number };
}

class State extends DeltaState {
  static override version = 1;
  static override entityType = "tally";

  count = 0;
  words: Record<string, number> = {};
  said: Said[] = [];
}

export default class Agent extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>, input: AgentInput): Promise<void> {
    const { state } = ctx;
    const words = input.text.split(" ").filter((word) => word !== "");
    state.count += 1;
    for (const word of words) state.words[word] = (state.words[word] ?? 0) + 1;
    state.said.push({ text: input.text, size: { words: words.length } });
    const first = state.said[0];
    if (first !== undefined) first.size.later = state.count - 1;
    await (await ctx.sendMessage(String(state.count))).end();
  }
}
