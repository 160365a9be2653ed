/** Tells what it sees: its environment, secrets, configuration and files; keeps which hooks were called; dies when told to. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type AgentContext, type AgentInput, BaseAgent, DeltaState, type MessageHandle } from "@podium/ts";

class State extends DeltaState {
  count = 0;
  hooks: string[] = [];
}

type Context = AgentContext<State>;

export default class Agent extends BaseAgent<State> {
  static override State = State;

  override onInit(ctx: Context): void {
    ctx.state.hooks.push("init");
    if (ctx.getConfig("fail")) {
      console.log("about to fail");
      throw new Error("told to fail");
    }
  }

  override onShutdown(ctx: Context): void {
    ctx.state.hooks.push("shutdown");
  }

  override onConfigChange(ctx: Context): void {
    ctx.state.hooks.push("config");
  }

  override async onMessage(ctx: Context, input: AgentInput): Promise<void> {
    ctx.state.count += 1;
    const reply = await ctx.sendMessage();
    await reply.streamToken(await this.#answer(ctx, reply, input), { final: true });
  }

  async #answer(ctx: Context, reply: MessageHandle, input: AgentInput): Promise<string> {
    const name = String(input["name"]);
    switch (input.text) {
      case "pid":
        return String(process.pid);
      case "env":
        return process.env[name] ?? "absent";
      case "secret":
        return ctx.secrets.get(name) ?? "absent";
      case "config":
        return String(ctx.getConfig(name, "absent"));
      case "die":
        await reply.streamToken("dying");
        await Bun.sleep(50);
        if (ctx.turn !== null && ctx.turn.attempt < Number(input["until"] ?? 99)) process.exit(3);
        return "";
      case "write":
        writeFileSync(join(ctx.workspace, "file.txt"), "kept");
        return "";
      case "read":
        return readFileSync(join(ctx.workspace, "file.txt"), "utf8");
      case "talk":
        console.log("printed by it");
        console.error("complained");
        ctx.log.warn("warned", { extra_field: 1 });
    }
    return String(ctx.state.count);
  }
}
