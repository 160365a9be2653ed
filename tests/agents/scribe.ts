/** Counts its turns, runs commands, reads its files back, and looks at its own history. */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { type AgentContext, type AgentInput, AgentRequestError, BaseAgent, DeltaState } from "@podium/ts";

class State extends DeltaState {
  count = 0;
}

/** What stands before the first space, and after it. */
function parted(text: string): [string, string] {
  const at = text.indexOf(" ");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

export default class Agent extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>, input: AgentInput): Promise<void> {
    ctx.state.count += 1;
    const text = await this.#answer(ctx, input.text);
    const reply = await ctx.sendMessage();
    await reply.streamToken(`${ctx.state.count}: ${text}`, { final: true });
  }

  async #answer(ctx: AgentContext, text: string): Promise<string> {
    const [verb, rest] = parted(text);
    switch (verb) {
      case "sh":
        return `exit ${(await ctx.runCommand(rest)).exitCode}`;
      case "read":
        return this.#read(ctx.workspace);
      case "talk":
        return (await ctx.messages()).map((said) => said.text).join("|");
      case "name":
      case "versions":
      case "back":
        try {
          return await this.#look(ctx, verb, rest);
        } catch (error) {
          if (error instanceof AgentRequestError) return `refused: ${error.message}`;
          throw error;
        }
    }
    return text;
  }

  #read(workspace: string): string {
    const paths = readdirSync(workspace, { recursive: true }) as string[];
    const files = paths.filter((path) => statSync(join(workspace, path)).isFile()).sort();
    return files.map((path) => `${path}=${readFileSync(join(workspace, path), "utf8")}`).join(" ");
  }

  async #look(ctx: AgentContext, verb: string, rest: string): Promise<string> {
    if (verb === "name") return String(await ctx.checkpoint(rest));
    if (verb === "versions") {
      return (await ctx.history(rest)).map((found) => `${found.kind}:${found["size"] ?? ""}`).join(" ");
    }
    const [moment, path] = parted(rest);
    return String(await ctx.restore(/^\d+$/.test(moment) ? Number(moment) : moment, path));
  }
}
