import { expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

import { type AgentContext, BaseAgent, type CommandOptions, type CommandResult } from "../src/index.ts";
import { AgentHarness, type HarnessTurn } from "../src/testing.ts";

interface Ran {
  readonly result: CommandResult;
  readonly turn: HarnessTurn;
}

function running(command: string | readonly string[], options: CommandOptions, results: CommandResult[]): () => BaseAgent {
  return () =>
    new (class extends BaseAgent {
      override async onMessage(ctx: AgentContext): Promise<void> {
        results.push(await ctx.runCommand(command, options));
      }
    })();
}

async function ran(command: string | readonly string[], options: CommandOptions = {}): Promise<Ran> {
  const results: CommandResult[] = [];
  await using agent = await AgentHarness.start(running(command, options, results));
  mkdirSync(join(agent.workspace, "sub"));
  const turn = await agent.send("x");
  const [result] = results;
  if (result === undefined) throw new Error(turn.error ?? "no result");
  return { result, turn };
}

function alive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(require("node:fs").readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

async function gone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 400 && alive(pid); tries += 1) await Bun.sleep(5);
  return !alive(pid);
}

test("a command runs in the workspace, its output is streamed and kept", async () => {
  const { result, turn } = await ran("pwd; printf ü; echo bad >&2; exit 3", { cwd: "sub" });
  expect(result.stdout).toEndWith("/sub\nü");
  expect([result.stderr, result.exitCode, result.signal, result.ok]).toEqual(["bad\n", 3, null, false]);
  expect(result.output.length).toBe(result.stdout.length + result.stderr.length);
  const [start] = turn.events;
  const id = start?.content["terminal_id"];
  expect(id).toMatch(/^term-[a-z2-7]{16}$/);
  expect(start?.content).toEqual({ terminal_id: id, stream: "stdout", data: "", command: "pwd; printf ü; echo bad >&2; exit 3" });
  expect(turn.events.at(-1)?.content).toEqual({ terminal_id: id, exit_code: 3 });
});

test("characters cut by a read stay whole", async () => {
  const { result } = await ran("printf '\\303'; sleep 0.1; printf '\\274'; head -c 200001 /dev/zero | tr '\\0' x; printf ü");
  expect(result.stdout).toBe(`ü${"x".repeat(200_001)}ü`);
});

test("a list is run as it is, with more environment and no input", async () => {
  const { result, turn } = await ran(["sh", "-c", 'echo "$0 $A"; cat', "it's"], { env: { A: "b c" } });
  expect([result.output, result.ok]).toEqual(["it's b c\n", true]);
  expect(turn.events[0]?.text("command")).toBe(`sh -c 'echo "$0 $A"; cat' 'it'"'"'s'`);
});

test("what can't be started is an error", async () => {
  await expect(ran(["/no/such/program"])).rejects.toThrow("ENOENT");
});

test("output beyond the limit is thrown away", async () => {
  const { result } = await ran("head -c 300000 /dev/zero | tr '\\0' x; echo end", { outputLimit: 100_000 });
  expect([result.output.length, result.truncated, result.ok]).toEqual([100_000, true, true]);
});

test("after its timeout a command gets SIGTERM, with what it started", async () => {
  const { result } = await ran("sleep 60 & echo $!; wait", { timeoutMs: 200 });
  expect([result.timedOut, result.exitCode, result.signal]).toEqual([true, null, "SIGTERM"]);
  expect(await gone(Number(result.stdout))).toBe(true);
});

test("what ignores SIGTERM gets SIGKILL", async () => {
  const { result, turn } = await ran("trap '' TERM; while :; do sleep 0.05; done", { timeoutMs: 100 });
  expect([result.timedOut, result.signal]).toEqual([true, "SIGKILL"]);
  expect(turn.events.at(-1)?.content["signal"]).toBe("SIGKILL");
}, 10_000);

test("what a command leaves running is killed when it ends", async () => {
  const { result } = await ran("sleep 60 >/dev/null 2>&1 & echo $!");
  expect(result.ok).toBe(true);
  expect(await gone(Number(result.stdout))).toBe(true);
});

test("a child that keeps the pipe open does not hold the command up", async () => {
  const { result } = await ran("sleep 60 & echo $!");
  expect(result.ok).toBe(true);
  expect(await gone(Number(result.stdout))).toBe(true);
});

test("cancelling the turn kills the command", async () => {
  const results: CommandResult[] = [];
  await using agent = await AgentHarness.start(running("sleep 60 & echo $!; wait", {}, results));
  const turn = agent.begin("x");
  const started = await turn.until("terminal.stream", 2);
  turn.cancel();
  expect((await turn.done()).stopReason).toBe("cancelled");
  expect(results).toEqual([]);
  expect(await gone(Number(started.text("data")))).toBe(true);
});

test("a crash of the agent leaves no command behind", async () => {
  const agent = await AgentHarness.start(running("sleep 60 & echo $!; wait", {}, []));
  const turn = agent.begin("x");
  const started = await turn.until("terminal.stream", 2);
  const { workspace } = agent;
  await agent.crash();
  expect(await gone(Number(started.text("data")))).toBe(true);
  await agent[Symbol.asyncDispose]();
  expect(existsSync(workspace)).toBe(false);
});
