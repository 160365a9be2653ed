/**
 * Toolsmith: makes a small command line tool in its workspace, and shows every event an agent can make on the way.
 *
 * It works by rules instead of a model, so that it runs anywhere. `make a tool` goes through everything: a thought, a plan,
 * tool calls (one of which fails), a permission, a question, a command with its output, and what it all cost. Any other
 * message is answered in one line.
 */

import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { type AgentContext, type AgentInput, BaseAgent, DeltaState, type OptionLike } from "@podium/ts";

const STEPS = ["look around", "write the tool", "try it"];

const OPTIONS: OptionLike[] = [
  { option_id: "allow", name: "Allow once", kind: "allow_once" },
  { option_id: "always", name: "Always allow", kind: "allow_always" },
  { option_id: "reject", name: "Reject", kind: "reject_once" },
];

const ASKING_MS = 300_000;

const script = (name: string): string => `#!/bin/sh
# ${name}: counts the words of its input
wc -w | tr -d ' '
`;

/** The tools made so far, and whether writing needs to be asked for. */
class State extends DeltaState {
  static override version = 1;
  static override entityType = "toolsmith";

  tools: string[] = [];
  may_write = false;
}

type Context = AgentContext<State>;

/** One tool a turn. */
export default class Toolsmith extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: Context, input: AgentInput): Promise<void> {
    if (!input.text.includes("make")) {
      const made = ctx.state.tools.join(", ") || "nothing yet";
      return this.#say(ctx, `I make tools; say \`make a tool\`. Made so far: ${made}.`);
    }
    await this.#think(ctx, input.text);
    await this.#plan(ctx, 0);
    await this.#lookAround(ctx);
    const name = await this.#askName(ctx);
    await this.#plan(ctx, 1);
    const file = `${name}.sh`;
    if (!(await this.#mayWrite(ctx, file))) return this.#say(ctx, "Then I leave it.");
    await this.#write(ctx, file, script(name));
    await this.#plan(ctx, 2);
    const result = await ctx.runCommand(["sh", "-c", `echo one two three | sh ${file}`], { timeoutMs: 10_000 });
    await this.#plan(ctx, 3);
    await this.#account(ctx);
    ctx.state.tools.push(name);
    const verdict = result.exitCode === 0 ? "it works" : `it fails with exit code ${result.exitCode}`;
    const reply = await ctx.sendMessage();
    const text = `I made ${file}, and ${verdict}. That is tool number ${ctx.state.tools.length}.`;
    for (const word of text.split(" ")) await reply.streamToken(`${word} `);
    await reply.end();
  }

  async #say(ctx: Context, text: string): Promise<void> {
    const reply = await ctx.sendMessage();
    await reply.streamToken(text, { final: true });
  }

  async #think(ctx: Context, text: string): Promise<void> {
    await ctx.thinking(async (thoughts) => {
      await thoughts.write(`They want: ${text}. `);
      await thoughts.write("First I should see what is there.");
    });
  }

  async #plan(ctx: Context, done: number): Promise<void> {
    const status = (at: number) => (at < done ? "completed" : at === done ? "in_progress" : "pending");
    await ctx.plan(STEPS.map((content, at) => ({ content, status: status(at) })));
  }

  async #lookAround(ctx: Context): Promise<void> {
    await ctx.toolCall("list_files", { path: "." }, { kind: "read" }, async () => (await readdir(ctx.workspace)).sort());
    try {
      const notes = join(ctx.workspace, "NOTES.md");
      await ctx.toolCall("read_file", { path: "NOTES.md" }, { kind: "read" }, () => readFile(notes, "utf8"));
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT") throw error;
      // Shown as tool.error; there are no notes, and the work goes on without them.
      ctx.log.info("no notes");
    }
  }

  async #askName(ctx: Context): Promise<string> {
    const question = { id: "name", question: "What shall the tool be called?", options: ["count-words", "words"] };
    const { answers } = await ctx.ask([question], { timeoutMs: ASKING_MS, default: { name: "words" } });
    const given = String(answers["name"] ?? "words");
    return given.replace(/[^\p{L}\p{N}_-]/gu, "").slice(0, 40) || "words";
  }

  async #mayWrite(ctx: Context, file: string): Promise<boolean> {
    if (ctx.state.may_write) return true;
    const how = { options: OPTIONS, timeoutMs: ASKING_MS, default: "reject" };
    const chosen = await ctx.askPermission("write_file", { path: file }, how);
    ctx.state.may_write = chosen.kind === "allow_always";
    return chosen.granted;
  }

  async #write(ctx: Context, file: string, text: string): Promise<void> {
    await ctx.toolCall("write_file", undefined, { kind: "edit" }, async (call) => {
      await call.delta('{"path": ');
      await call.delta(`"${file}"}`);
      await writeFile(join(ctx.workspace, file), text);
      return `${text.length} bytes`;
    });
  }

  async #account(ctx: Context): Promise<void> {
    await ctx.usage(ctx.getConfig("model", "smith-1"), {
      provider: "rules",
      inputTokens: 1200,
      outputTokens: 340,
      cachedTokens: 800,
      costMicroDollars: 4100,
    });
    await ctx.contextWindow(1540, ctx.getConfig("context_tokens", 8000));
  }
}
