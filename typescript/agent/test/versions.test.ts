import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type AgentContext, type AgentInput, BaseAgent } from "../src/index.ts";
import { AgentHarness } from "../src/testing.ts";

class Writer extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const [verb = "", ...given] = String(input["text"]).split(" ");
    let answer: unknown;
    try {
      answer = await this.#done(ctx, verb, given);
    } catch (error) {
      answer = `refused: ${(error as Error).message}`;
    }
    await ctx.sendMessage(String(answer));
  }

  async #done(ctx: AgentContext, verb: string, [first = "", path = ""]: string[]): Promise<unknown> {
    const file = join(ctx.workspace, "notes.txt");
    switch (verb) {
      case "write":
        writeFileSync(file, first);
        return first;
      case "name":
        return ctx.checkpoint(first);
      case "versions":
        return (await ctx.history("notes.txt")).map(({ kind, size }) => `${kind} ${size}`).join(", ");
      case "all":
        return (await ctx.history("", Number(first || 100))).map(({ iteration, path: of, kind }) => `${iteration} ${kind} ${of}`).join(", ");
      default:
        await ctx.restore(/^\d+$/.test(first) ? Number(first) : first, path);
        return existsSync(file) ? readFileSync(file, "utf8") : "gone";
    }
  }
}

test("an agent names moments, sees versions and takes back", async () => {
  await using agent = await AgentHarness.start(Writer);
  const say = async (text: string): Promise<string> => (await agent.send(text)).text;
  await say("write one");
  expect(await say("name good")).toBe("1");
  await say("write three");
  expect(await say("versions")).toBe("modify 5, create 3");
  expect(await say("all")).toBe("2 modify notes.txt, 1 create notes.txt");
  expect(await say("all 1")).toBe("2 modify notes.txt");
  expect(await say("back good")).toBe("one");
  expect(await say("back 2 notes.txt")).toBe("three");
  expect(await say("back 0")).toBe("gone");
  expect(await say("all 1")).toBe("5 delete notes.txt");
});

test("a turn's id names the moment of its checkpoint", async () => {
  await using agent = await AgentHarness.start(Writer);
  await agent.send("write one");
  const { id } = await agent.send("name");
  await agent.send("write two");
  expect((await agent.send(`back ${id}`)).text).toBe("one");
});

test("moments that never were are refused with the reason", async () => {
  await using agent = await AgentHarness.start(Writer);
  await agent.send("write one");
  expect((await agent.send("back 99")).text).toBe("refused: iteration 99 does not exist; the newest is 1");
  expect((await agent.send("back never")).text).toBe('refused: there is no checkpoint "never"');
  expect((await agent.send("write two")).text).toBe("two");
});

test("directories, links, modes and what changes its kind come back as they were", async () => {
  await using agent = await AgentHarness.start(Writer);
  const at = (name: string): string => join(agent.workspace, name);
  mkdirSync(at("d"));
  writeFileSync(at("d/a.sh"), "a");
  chmodSync(at("d/a.sh"), 0o755);
  symlinkSync("d/a.sh", at("l"));
  writeFileSync(at("other"), "1");
  expect((await agent.send("all")).text).toBe("4 create other, 3 symlink l, 2 create d/a.sh, 1 mkdir d");
  chmodSync(at("d/a.sh"), 0o600);
  rmSync(at("l"));
  writeFileSync(at("l"), "a file now");
  expect((await agent.send("all 3")).text).toBe("7 create l, 6 chmod d/a.sh, 5 delete l");
  rmSync(at("d"), { recursive: true });
  writeFileSync(at("d"), "a file, too");
  writeFileSync(at("other"), "2");
  await agent.send("back 4 d");
  expect([readFileSync(at("d/a.sh"), "utf8"), statSync(at("d/a.sh")).mode & 0o777, readFileSync(at("other"), "utf8")]).toEqual(["a", 0o755, "2"]);
  await agent.send("back 4");
  expect([readFileSync(at("l"), "utf8"), readFileSync(at("other"), "utf8")]).toEqual(["a", "1"]);
});
