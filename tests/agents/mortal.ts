/** Goes through everything a turn may do, and the first time ends itself by SIGKILL at the point the message names. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { type AgentContext, type AgentInput, BaseAgent, DeltaState } from "@podium/ts";

/** How long a command runs before the agent ends itself. */
const COMMAND_MS = 200;

function die(): void {
  process.kill(process.pid, "SIGKILL");
}

class State extends DeltaState {
  count = 0;
  turn = "";
}

export default class Agent extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>, input: AgentInput): Promise<void> {
    const dying = ctx.turn?.attempt === 1 ? input.text : "";
    const at = (point: string): void => {
      if (point === dying) die();
    };

    at("begin");
    const turn = ctx.turn?.id ?? "";
    if (ctx.state.turn !== turn) {
      ctx.state.turn = turn;
      ctx.state.count += 1;
    }
    at("state");
    const reply = await ctx.sendMessage();
    at("started");
    await reply.thinking("hm");
    at("thought");
    await reply.streamToken("some ");
    at("word");
    await ctx.toolCall("look", { at: "it" }, () => {
      at("tool");
      return "seen";
    });
    at("tool result");
    const chosen = await ctx.askPermission("go on", {});
    at("answered");
    writeFileSync(join(ctx.workspace, "file"), chosen.optionId);
    at("file");
    if (dying === "command") {
      setTimeout(die, COMMAND_MS);
      await ctx.runCommand(["sleep", String(input["seconds"])]);
    }
    await ctx.runCommand("true");
    at("command over");
    await ctx.checkpoint("here");
    at("checkpoint");
    await reply.streamToken("words", { final: true });
    at("end");
  }
}
