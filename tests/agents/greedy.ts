/** Takes more than it may: memory, processes, disk, time. */

import { setTimeout } from "node:timers/promises";

import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

const HOUR_MS = 3_600_000;
const MIB = 2 ** 20;
const MEMORY_MIB = 2048;
const CHILDREN = 100;

export default class Agent extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const reply = await ctx.sendMessage();
    switch (input.text) {
      case "memory": {
        const held = Array.from({ length: MEMORY_MIB / 64 }, () => Buffer.alloc(64 * MIB, 1));
        await reply.streamToken(`${held.length} held `);
        break;
      }
      case "processes":
        await reply.streamToken(await this.#startChildren(), { final: true });
        return;
      case "time":
        await setTimeout(HOUR_MS, undefined, { signal: ctx.signal });
    }
    await reply.streamToken("fine", { final: true });
  }

  async #startChildren(): Promise<string> {
    const started: Bun.Subprocess[] = [];
    try {
      for (let n = 0; n < CHILDREN; n++) started.push(Bun.spawn(["/bin/sleep", "77"]));
    } catch {
      return "refused";
    } finally {
      for (const child of started) child.kill("SIGKILL");
      await Promise.all(started.map((child) => child.exited));
    }
    return "all";
  }
}
