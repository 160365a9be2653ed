import { afterEach, expect, test } from "bun:test";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { connect, type Connection } from "../src/connection.ts";
import { factoryOf } from "../src/entry.ts";
import { FrameBuffer, packed, readToAgent } from "../src/frames.ts";
import { type AgentContext, BaseAgent } from "../src/index.ts";
import { byteLength } from "../src/json.ts";
import { serve } from "../src/serve.ts";
import { converted, SchemaError } from "../src/schema.ts";
import type { FromAgent } from "../src/wire/link.ts";

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

const frame = (value: unknown): Uint8Array => {
  const body = JSON.stringify(value);
  return packed([body], byteLength(body));
};

const INIT = {
  ...{ type: "init", protocol: 1, agent_id: "a", instance_id: "i", agent_type: "t", deployment_id: "d" },
  ...{ workspace: "/tmp", config: {}, secrets: {}, state: null, state_version: 0, state_schema: null },
};

/** A coordinator that reads only when it is told to. */
async function meeting(name = "link.sock"): Promise<{ ours: Socket; theirs: Connection }> {
  const folder = mkdtempSync(join(tmpdir(), "podium-link-"));
  const accepted = Promise.withResolvers<Socket>();
  const server: Server = createServer({ pauseOnConnect: true }, accepted.resolve);
  await new Promise<void>((listening) => server.listen(join(folder, name), listening));
  const theirs = await connect(join(folder, name));
  const ours = await accepted.promise;
  cleanups.push(() => {
    ours.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { ours, theirs };
}

function heard(ours: Socket): { frames: FromAgent[]; closed: Promise<void>; until: (type: string) => Promise<FromAgent> } {
  const frames: FromAgent[] = [];
  const buffer = new FrameBuffer();
  let wake = (): void => undefined;
  ours.on("data", (data: Uint8Array) => {
    frames.push(...buffer.feed(data).map((body) => JSON.parse(body) as FromAgent));
    wake();
  });
  const closed = new Promise<void>((resolve) => ours.on("close", () => resolve()));
  ours.resume();
  const until = async (type: string): Promise<FromAgent> => {
    for (;;) {
      const found = frames.find((one) => one.type === type);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { frames, closed, until };
}

class Chatty extends BaseAgent {
  sent = 0;
  static last: Chatty | null = null;

  override async onMessage(ctx: AgentContext): Promise<void> {
    Chatty.last = this;
    for (; this.sent < 200; this.sent += 1) await ctx.emit("thinking.progress", { text: "x".repeat(100_000) });
  }
}

test("an agent that is far ahead of its coordinator waits, and goes on", async () => {
  const { ours, theirs } = await meeting();
  const code = serve(theirs, factoryOf(Chatty));
  ours.write(frame(INIT));
  ours.write(frame({ type: "message", id: "m", turn_id: "t", data: {}, origin: { tenant_id: "t" }, attempt: 1 }));
  let before = -1;
  for (let now = 0; now !== before || now === 0; now = Chatty.last?.sent ?? 0) {
    before = now;
    await Bun.sleep(100);
  }
  expect(before).toBeGreaterThan(40);
  expect(before).toBeLessThan(60);
  expect(theirs.unsent).toBeGreaterThan(4 * 1024 * 1024 - 1);
  const { frames, until, closed } = heard(ours);
  await until("complete");
  expect(frames.filter((one) => one.type === "stream_update").length).toBe(200);
  ours.write(frame({ type: "shutdown", reason: "stop" }));
  expect(await code).toBe(0);
  await closed;
});

test("a cancel reaches an agent that waits for room", async () => {
  const { ours, theirs } = await meeting();
  const code = serve(theirs, factoryOf(Chatty));
  ours.write(frame(INIT));
  ours.write(frame({ type: "message", id: "m", turn_id: "t", data: {}, origin: { tenant_id: "t" }, attempt: 1 }));
  while (theirs.unsent < 4 * 1024 * 1024) await Bun.sleep(10);
  ours.write(frame({ type: "cancel", turn_id: "t" }));
  await Bun.sleep(50);
  const { until } = heard(ours);
  expect(await until("complete")).toEqual({ type: "complete", message_id: "m", stop_reason: "cancelled" });
  ours.destroy();
  expect(await code).toBe(4);
});

test("the path of a socket may be longer than an address", async () => {
  const folder = mkdtempSync(join(tmpdir(), "podium-link-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const deep = join(folder, "x".repeat(90), "y".repeat(90));
  mkdirSync(deep, { recursive: true });
  await expect(connect(join(deep, "link.sock"))).rejects.toThrow("nobody listens at");
  const handle = openSync(deep, "r");
  const server = createServer((socket) => socket.end("hello"));
  await new Promise<void>((listening) => server.listen(`/proc/self/fd/${handle}/link.sock`, listening));
  const theirs = await connect(join(deep, "link.sock"));
  const heardBytes = await new Promise<Uint8Array>((resolve) => theirs.listen(resolve, () => undefined));
  expect(new TextDecoder().decode(heardBytes)).toBe("hello");
  theirs.close();
  server.close();
  closeSync(handle);
});

test.each([
  ["a frame that is no JSON", packed(["{"], 1)],
  ["a frame of no known type", frame({ type: "hello" })],
  ["a frame that lacks a member", frame({ type: "ping" })],
  ["a frame that is too long", new Uint8Array([1, 0, 0, 1])],
  ["a frame that is no UTF-8", new Uint8Array([1, 0, 0, 0, 0xff])],
])("%s ends the link", async (_name, bytes) => {
  const { ours, theirs } = await meeting();
  const code = serve(theirs, factoryOf(BaseAgent));
  const { until, frames } = heard(ours);
  ours.write(frame(INIT));
  await until("ready");
  ours.write(bytes);
  expect(await code).toBe(4);
  await until("log");
  expect(frames.at(-1)).toMatchObject({ type: "log", level: "error", message: "the coordinator broke the protocol" });
});

test("the first frame must be init; a second one is only logged", async () => {
  const first = await meeting();
  const code = serve(first.theirs, factoryOf(BaseAgent));
  first.ours.write(frame({ type: "ping", nonce: 1 }));
  expect(await code).toBe(4);
  const second = await meeting();
  const serving = serve(second.theirs, factoryOf(BaseAgent));
  const { until } = heard(second.ours);
  second.ours.write(frame(INIT));
  second.ours.write(frame(INIT));
  expect(await until("log")).toMatchObject({ message: "unexpected_frame", fields: { type: "init" } });
  second.ours.write(frame({ type: "shutdown", reason: "stop" }));
  expect(await serving).toBe(0);
});

test("frames are found however the bytes come", () => {
  const bodies = ["{}", JSON.stringify({ text: "ü".repeat(5000) }), '"😀"'];
  const whole = packed(bodies, bodies.reduce((sum, body) => sum + byteLength(body), 0));
  for (const size of [1, 3, 1000, whole.length]) {
    const buffer = new FrameBuffer();
    const found: string[] = [];
    for (let at = 0; at < whole.length; at += size) found.push(...buffer.feed(whole.subarray(at, at + size)));
    expect(found).toEqual(bodies);
  }
});

test("what a schema does not know, or gives as default, does not travel", () => {
  const read = readToAgent(JSON.stringify({ type: "answer", request_id: "r", outcome: "o", option_id: null, more: 1 }));
  expect(read).toEqual({ type: "answer", request_id: "r", outcome: "o" });
  const schema = { type: "object", properties: { a: { type: "array", items: { enum: [1, 2] } } }, required: ["a"] };
  expect(converted({ a: [1, 2], b: 3 }, schema, {})).toEqual({ a: [1, 2] });
  expect(() => converted({ a: [1, 3] }, schema, {})).toThrow("$.a[1]: expected one of 1, 2, got integer 3");
  expect(() => converted([], schema, {})).toThrow(SchemaError);
});
