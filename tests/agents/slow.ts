/** Waits, raises, is deaf, is steered or floods, as it is told. */

import { setTimeout } from "node:timers/promises";

import { type AgentContext, type AgentInput, BaseAgent, DeltaState } from "@podium/ts";

const HOUR_MS = 3_600_000;

class OnPurposeError extends Error {}

class State extends DeltaState {
  steered: string[] = [];
}

export default class Agent extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>, input: AgentInput): Promise<void> {
    const reply = await ctx.sendMessage();
    const { text } = input;
    if (text === "steerable") {
      for await (const said of ctx.steering()) {
        ctx.state.steered.push(said);
        await reply.streamToken(said, { final: true });
        return;
      }
    }
    if (text === "wait") {
      await reply.streamToken("waiting");
      await setTimeout(HOUR_MS, undefined, { signal: ctx.signal });
    }
    if (text === "deaf") {
      await reply.streamToken("deaf");
      for (;;) await setTimeout(HOUR_MS);
    }
    if (text === "stuck") {
      await reply.streamToken("stuck");
      await setTimeout(0);
      for (;;);
    }
    if (text === "raise") throw new OnPurposeError("on purpose");
    if (text === "flood") {
      for (let n = 0; n < Number(input["events"]); n++) await reply.streamToken("x".repeat(1000));
    }
    await reply.streamToken(`done ${text}`, { final: true });
  }
}
