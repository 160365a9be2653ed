import { expect, test } from "bun:test";
import { closeSync, mkdirSync, mkdtempSync, openSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { FrameBuffer, packed } from "../src/frames.ts";
import { byteLength } from "../src/json.ts";
import type { FromAgent } from "../src/wire/link.ts";

const RUN = join(import.meta.dir, "..", "src", "run.ts");
const ENTRIES = join(import.meta.dir, "entries");

/** An agent that answers nothing. */
const AGENT = 'import { BaseAgent } from "@podium/ts"; export default class Mine extends BaseAgent {}';

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly frames: FromAgent[];
}

/** What a process is started with, beside its arguments. */
interface Given {
  readonly secrets?: Record<string, string>;
  readonly env?: Record<string, string>;
  /** A descriptor, which is its fourth. */
  readonly gate?: number;
}

/** Runs an entry as the coordinator does, sends it one message, and shuts it down when that is answered. */
async function ran(args: readonly string[], { secrets = {}, env = {}, gate }: Given = {}): Promise<Ran> {
  const folder = mkdtempSync(join(tmpdir(), "podium-run-"));
  const frames: FromAgent[] = [];
  const server = createServer((socket) => {
    const send = (value: unknown): void => {
      const body = JSON.stringify(value);
      socket.write(packed([body], byteLength(body)));
    };
    const buffer = new FrameBuffer();
    socket.on("data", (data: Uint8Array) => {
      for (const body of buffer.feed(data)) {
        const frame = JSON.parse(body) as FromAgent;
        frames.push(frame);
        if (frame.type === "complete" || frame.type === "failed") send({ type: "shutdown", reason: "stop" });
      }
    });
    send({
      ...{ type: "init", protocol: 1, agent_id: "a", instance_id: "i", agent_type: "t", deployment_id: "d" },
      ...{ workspace: "/tmp", config: {}, secrets, state: null, state_version: 0, state_schema: null },
    });
    send({ type: "message", id: "m", turn_id: "t", data: { text: "x" }, origin: { tenant_id: "t" }, attempt: 1 });
  });
  const path = join(folder, "link.sock");
  await new Promise<void>((listening) => server.listen(path, listening));
  const child = Bun.spawn([process.execPath, RUN, ...args], {
    env: { PODIUM_SOCKET: path, ...env },
    stdio: ["ignore", "pipe", "pipe", ...(gate === undefined ? [] : [gate])],
  });
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  server.close();
  rmSync(folder, { recursive: true, force: true });
  return { code, stdout, stderr, frames };
}

test("what is printed stays off the link, and errors nobody caught are logged and end nothing", async () => {
  const { code, stdout, stderr, frames } = await ran(["run", ENTRIES, "noisy.ts"], { secrets: { KEY: "s3cret" } });
  expect([code, stdout, stderr]).toEqual([0, "module loaded\nto stdout Secrets(KEY=…)\n", "to stderr\n"]);
  const logged = frames.filter((frame) => frame.type === "log");
  expect(logged.map((record) => [record.level, record.message])).toEqual([
    ["error", "a promise was rejected and nobody looked"],
    ["error", "an exception nobody caught"],
  ]);
  expect(String(logged[0]?.fields?.["traceback"])).toStartWith("RangeError: nobody looks\n");
  expect(frames.at(-1)).toEqual({ type: "complete", message_id: "m", stop_reason: "end_turn" });
});

test("an entry that can't be loaded is told on stderr, without connecting", async () => {
  const missing = await ran(["run", ENTRIES, "several.ts"]);
  expect([missing.code, missing.frames]).toEqual([1, []]);
  expect(missing.stderr).toStartWith('entry "several.ts": several.ts has no default export');
  const broken = await ran(["run", ENTRIES, "broken.ts"]);
  expect(broken.code).toBe(1);
  expect(broken.stderr).toMatch(/importing broken\.ts failed: RangeError: no key[^]+caused by RangeError: no key\n +at/);
});

test("an entry is loaded in the workspace, when the gate says that it is there", async () => {
  const place = realpathSync(mkdtempSync(join(tmpdir(), "podium-place-")));
  const [open, closed] = [join(place, "open"), join(place, "closed")];
  writeFileSync(open, "1");
  writeFileSync(closed, "");
  writeFileSync(join(place, "agent.ts"), `${AGENT} console.log(process.cwd());`);
  const env = { AGENT_WORKSPACE: join(place, "workspace") };
  const gates = [openSync(open, "r"), openSync(closed, "r")];
  const never = await ran(["run", place, "agent.ts", "3"], { env, gate: gates[1]! });
  expect([never.code, never.stdout, never.frames]).toEqual([1, "", []]);
  expect(never.stderr).toContain("the workspace did not come");
  mkdirSync(env.AGENT_WORKSPACE);
  const { code, stdout, stderr } = await ran(["run", place, "agent.ts", "3"], { env, gate: gates[0]! });
  expect([code, stdout, stderr]).toEqual([0, `${env.AGENT_WORKSPACE}\n`, ""]);
  for (const gate of gates) closeSync(gate);
  rmSync(place, { recursive: true, force: true });
});

test("a bundle that holds another copy of the SDK gets the one that serves it", async () => {
  const bundle = mkdtempSync(join(tmpdir(), "podium-bundle-"));
  const other = join(bundle, "node_modules", "@podium", "ts");
  mkdirSync(other, { recursive: true });
  writeFileSync(join(other, "package.json"), JSON.stringify({ name: "@podium/ts", type: "module", main: "index.js" }));
  writeFileSync(join(other, "index.js"), "export class BaseAgent {}");
  writeFileSync(join(bundle, "agent.ts"), AGENT);
  const { code, stderr, frames } = await ran(["run", bundle, "agent.ts"]);
  rmSync(bundle, { recursive: true, force: true });
  expect([code, stderr]).toEqual([0, ""]);
  expect(frames.map((frame) => frame.type)).toEqual(["ready", "complete"]);
});

test("wrong arguments are told", async () => {
  const { code, stderr } = await ran(["walk"]);
  expect([code, stderr]).toEqual([64, "usage: PODIUM_SOCKET=… bun run.ts run DIRECTORY ENTRY [GATE]\n"]);
});
