/**
 * Counter: an agent that remembers. Its state is a plain object; changing it is saving it.
 *
 * `count to 50` is a turn that takes a while. Kill the agent's process in the middle of it: the turn is run again, and goes
 * on with the number it had reached, because that number is in the state.
 */

import { setTimeout } from "node:timers/promises";

import { type AgentContext, type AgentInput, BaseAgent, DeltaState } from "@podium/ts";

const COUNT_TO = /count to (\d{1,4})/;

/** All that it knows. */
class State extends DeltaState {
  static override version = 1;
  static override entityType = "counter";

  count = 0;
  history: string[] = [];
  /** How far a long count has come, 0 when none is under way. */
  reached = 0;
  /** The last turn that was counted. */
  turn = "";
}

/** Counts messages, and on request up to a number. */
export default class Counter extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>, input: AgentInput): Promise<void> {
    const { state } = ctx;
    const turn = ctx.turn?.id ?? "";
    if (state.turn !== turn) {
      // A turn that is run again after a crash may have counted its message already; the state knows.
      state.turn = turn;
      state.count += 1;
      state.history.push(input.text);
    }
    const found = COUNT_TO.exec(input.text);
    if (found !== null) return this.#countTo(ctx, Number(found[1]));
    const reply = await ctx.sendMessage();
    await reply.streamToken(`message ${state.count}: '${input.text}'`, { final: true });
  }

  async #countTo(ctx: AgentContext<State>, last: number): Promise<void> {
    const pause = ctx.getConfig("pause_ms", 40);
    const { state, signal } = ctx;
    const reply = await ctx.sendMessage();
    if (state.reached > 0) await reply.streamToken(`(going on after ${state.reached}) `);
    while (state.reached < last) {
      state.reached += 1;
      await reply.streamToken(`${state.reached} `);
      await setTimeout(pause, undefined, { signal });
    }
    state.reached = 0;
    await reply.end();
  }
}
