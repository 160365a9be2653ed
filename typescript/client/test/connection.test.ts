import { afterEach, beforeEach, expect, test } from "bun:test";
import { PodiumConnectionError } from "../src/errors.ts";
import type { PodiumConnection } from "../src/stream/connection.ts";
import { textOf, type PodiumEvent } from "../src/stream/event.ts";
import { INBOX_MAX_EVENTS } from "../src/stream/inbox.ts";
import { FakeServer, failure, INSTANCE, read } from "./fake_server.ts";
import { settle } from "./virtual_time.ts";

let server: FakeServer;
let connection: PodiumConnection | undefined;

beforeEach(() => {
  server = new FakeServer();
  connection = undefined;
});

afterEach(async () => {
  await connection?.close();
  expect(server.time.pending).toBe(0);
  expect(server.sockets.every((socket) => socket.isClosed)).toBe(true);
});

async function open(after?: number): Promise<PodiumConnection> {
  connection = await server.open(after);
  return connection;
}

function texts(events: readonly PodiumEvent[]): string[] {
  return events.map(textOf);
}

test("events arrive in order and the greeting is kept apart", async () => {
  const stream = await open();
  server.socket.count(1, 2);
  expect(texts(await read(stream, 2))).toEqual(["1", "2"]);
  expect([stream.info?.status, stream.instanceId]).toEqual(["ready", INSTANCE]);
});

test("a lost connection resumes after the last event that came, and repeats none", async () => {
  const stream = await open(0);
  server.socket.count(1, 2, 3);
  expect(texts(await read(stream, 3))).toEqual(["1", "2", "3"]);
  server.socket.end();
  await server.time.pass(100);
  expect(server.dialled).toEqual([0, 3]);
  server.socket.count(3, 4);
  expect(texts(await read(stream, 1))).toEqual(["4"]);
  expect(stream.reconnects).toBe(1);
});

test("a gap makes it resume instead of going on", async () => {
  const stream = await open(0);
  server.socket.count(1, 3);
  await server.time.pass(200);
  expect(server.dialled).toEqual([0, 1]);
  server.socket.count(2, 3);
  expect(texts(await read(stream, 3))).toEqual(["1", "2", "3"]);
});

test("without a position it resumes after what the first greeting named", async () => {
  const stream = await open();
  expect(stream.lastSeq).toBe(0);
  server.prepare = (socket) => socket.greet(12);
  const other = await server.open();
  expect(other.lastSeq).toBe(12);
  server.socket.end(1012);
  await server.time.pass(1);
  expect(server.dialled).toEqual([undefined, undefined, 12]);
  await other.close();
});

test("lastSeq is what the reader was given, not what was received", async () => {
  const stream = await open(0);
  server.socket.count(1, 2, 3);
  await read(stream, 2);
  expect(stream.lastSeq).toBe(2);
});

test("a command without acknowledgement is sent again with the same id", async () => {
  const stream = await open();
  const sending = stream.sendMessage("hello", { tone: "kind" });
  const [first] = server.socket.sent;
  server.socket.end(1006);
  await server.time.pass(100);
  expect(server.sockets).toHaveLength(2);
  expect(server.socket.sent).toEqual([first!]);
  expect(first).toMatchObject({ type: "process_message", content: { text: "hello", tone: "kind" } });
  server.socket.say("ack", { id: first!["id"], turn_id: "turn-x", message_id: "msg-x", seq: 5 });
  expect(await sending).toMatchObject({ turn_id: "turn-x", message_id: "msg-x", seq: 5 });
  server.socket.end(1012);
  await server.time.pass(1_000);
  expect(server.sockets).toHaveLength(3);
  expect(server.socket.sent).toEqual([]);
});

test("an acknowledgement that comes twice is no event", async () => {
  const stream = await open(0);
  const sending = stream.sendMessage("hello", {}, { id: "m-1" });
  for (const _ of [1, 2]) server.socket.say("ack", { id: "m-1", turn_id: "turn-x" });
  expect((await sending).turn_id).toBe("turn-x");
  server.socket.count(1);
  expect(texts(await read(stream, 1))).toEqual(["1"]);
});

test("commands given while there is no connection are sent when there is one, in order", async () => {
  const stream = await open();
  server.socket.end(1013);
  await settle();
  const both = [stream.sendMessage("one", {}, { id: "m-1" }), stream.sendMessage("two", {}, { id: "m-2", onBusy: "reject" })];
  await server.time.pass(5_000);
  expect(server.socket.sent).toEqual([
    { type: "process_message", id: "m-1", content: { text: "one" } },
    { type: "process_message", id: "m-2", content: { text: "two" }, on_busy: "reject" },
  ]);
  for (const id of ["m-2", "m-1"]) server.socket.say("ack", { id });
  expect((await Promise.all(both)).map((ack) => ack.id)).toEqual(["m-1", "m-2"]);
});

test("a refused command fails with the code of the nack", async () => {
  const stream = await open();
  const sending = failure(stream.steer("left"));
  server.socket.say("nack", { id: server.socket.sent[0]!["id"], code: "no_turn", message: "no turn is running" });
  expect(await sending).toMatchObject({ code: "no_turn", detail: "no turn is running", status: 409, retryable: false });
});

test("answers to raw frames come as events without a number", async () => {
  const stream = await open();
  await stream.sendRaw('{"type":"mystery"}');
  expect(server.socket.sent).toEqual([{ type: "mystery" }]);
  server.socket.say("nack", { code: "invalid_request", message: "no such type" });
  expect(await read(stream, 1)).toMatchObject([{ messageType: "nack", seq: 0 }]);
});

test("a raw frame waits thirty seconds for a connection", async () => {
  const stream = await open();
  server.prepare = () => undefined;
  server.socket.end();
  await server.time.pass(100);
  const sending = failure(stream.sendRaw("{}"));
  await server.time.pass(30_000);
  expect(await sending).toMatchObject({ code: "unreachable", retryable: true });
});

test.each([
  [4401, "unauthenticated"],
  [4404, "instance_not_found"],
  [4409, "instance_stopping"],
  [4410, "resume_gone"],
] as const)("close code %d ends the stream with %s", async (close, code) => {
  const stream = await open();
  server.socket.say("terminated", { reason: "stop" }, 1);
  server.socket.end(close, "because");
  expect(await read(stream, 1)).toMatchObject([{ messageType: "terminated" }]);
  expect(await failure(read(stream, 1))).toMatchObject({ code, instanceId: INSTANCE, operation: "connect" });
  expect(await failure(stream.sendMessage("too late"))).toMatchObject({ code });
  expect(server.dialled).toHaveLength(1);
});

test("a moving coordinator is followed without waiting", async () => {
  await open();
  await server.time.pass(5_000);
  server.socket.end(1012);
  await server.time.pass(0);
  expect(server.sockets).toHaveLength(2);
});

test("a server that drops everyone is not hammered", async () => {
  await open();
  const moments: number[] = [];
  server.prepare = (socket) => {
    moments.push(server.time.now());
    socket.greet();
    socket.end(1012);
  };
  server.socket.end(1012);
  await server.time.pass(6_500);
  expect(moments).toEqual([0, 200, 600, 1_400, 3_000, 6_200]);
});

test("it gives up after five minutes", async () => {
  const stream = await open();
  server.prepare = (socket) => socket.end();
  server.socket.end();
  await server.time.pass(299_000);
  let hasEnded = false;
  const ended = failure(read(stream, 1)).then((error) => ((hasEnded = true), error));
  await settle();
  expect(hasEnded).toBe(false);
  await server.time.pass(11_000);
  expect(await ended).toMatchObject({ code: "unreachable" });
});

test("opening is retried three times and then fails with the reason", async () => {
  server.prepare = (socket) => socket.end(1013, "the host is away");
  connection = server.connection();
  const opening = failure(connection.open());
  await server.time.pass(10_000);
  expect(await opening).toMatchObject({ code: "unreachable", detail: "the connection was lost (close code 1013): the host is away" });
  expect(server.dialled).toHaveLength(4);
});

test("what can't come right is not retried", async () => {
  server.prepare = (socket) => socket.end(4404);
  connection = server.connection();
  expect(await failure(connection.open())).toMatchObject({ code: "instance_not_found" });
  expect(server.dialled).toHaveLength(1);
});

test("another version of the protocol is refused", async () => {
  server.prepare = (socket) => socket.greet(0, 2);
  connection = server.connection();
  expect(await failure(connection.open())).toMatchObject({ code: "invalid_request" });
});

test("a server that does not greet within thirty seconds is left", async () => {
  server.prepare = () => undefined;
  connection = server.connection();
  const opening = failure(connection.open());
  await server.time.pass(30_000);
  expect(server.sockets[0]!.isClosed).toBe(true);
  await server.time.pass(120_000);
  expect(await opening).toMatchObject({ code: "unreachable", detail: "no greeting within 30 s" });
});

test("opening ends with its signal", async () => {
  server.prepare = () => undefined;
  connection = server.connection();
  const stop = new AbortController();
  const opening = failure(connection.open(stop.signal));
  await settle();
  stop.abort("enough");
  expect(await opening).toBe("enough");
});

test("a peer that gives no sign of life is left, and the stream goes on elsewhere", async () => {
  const stream = await open(0);
  server.socket.count(1);
  await server.time.pass(20_000);
  expect(server.socket.sent).toEqual([{ type: "ping", id: "heartbeat" }]);
  server.socket.say("pong", { id: "heartbeat" });
  await server.time.pass(10_000);
  expect(server.sockets).toHaveLength(1);
  await server.time.pass(21_000);
  expect(server.sockets[0]!.isClosed).toBe(true);
  expect(server.dialled).toEqual([0, 1]);
  server.socket.count(2);
  expect(texts(await read(stream, 2))).toEqual(["1", "2"]);
});

test("without a reader it leaves the rest to the server, and takes it up again where it stopped", async () => {
  const stream = await open(0);
  const all = Array.from({ length: INBOX_MAX_EVENTS + 10 }, (_, index) => index + 1);
  server.socket.count(...all);
  await server.time.pass(60_000);
  expect(server.sockets).toHaveLength(1);
  expect(server.socket.isClosed).toBe(true);
  await read(stream, INBOX_MAX_EVENTS / 2);
  await server.time.pass(0);
  expect(server.dialled).toEqual([0, INBOX_MAX_EVENTS]);
  server.socket.count(...all.slice(INBOX_MAX_EVENTS));
  const rest = await read(stream, INBOX_MAX_EVENTS / 2 + 10);
  expect(rest.map((event) => event.seq)).toEqual(all.slice(INBOX_MAX_EVENTS / 2));
});

test("commands are sent and acknowledged while nobody reads, on a socket of their own", async () => {
  const stream = await open(0);
  server.socket.count(...Array.from({ length: INBOX_MAX_EVENTS }, (_, index) => index + 1));
  await settle();
  const sending = stream.send({ type: "cancel", id: "c-1" });
  await server.time.pass(0);
  expect(server.dialled).toEqual([0, undefined]);
  server.socket.count(INBOX_MAX_EVENTS + 1);
  expect(server.socket.sent).toEqual([{ type: "cancel", id: "c-1" }]);
  server.socket.say("ack", { id: "c-1" });
  expect(await sending).toEqual({ id: "c-1" });
  await settle();
  expect(server.socket.isClosed).toBe(true);
  await read(stream, INBOX_MAX_EVENTS);
  await server.time.pass(0);
  expect(server.dialled).toEqual([0, undefined, INBOX_MAX_EVENTS]);
  server.socket.count(INBOX_MAX_EVENTS + 1);
  expect((await read(stream, 1))[0]!.seq).toBe(INBOX_MAX_EVENTS + 1);
});

test("a command that gets no answer while nobody reads keeps no socket", async () => {
  const stream = await open(0);
  const sending = failure(stream.cancel());
  server.socket.count(...Array.from({ length: INBOX_MAX_EVENTS }, (_, index) => index + 1));
  await server.time.pass(30_000);
  expect(await sending).toMatchObject({ code: "unreachable" });
  await settle();
  expect(server.sockets.every((socket) => socket.isClosed)).toBe(true);
});

test("a socket that was kept for a command is replaced when the reader catches up", async () => {
  const stream = await open(0);
  const sending = stream.send({ type: "cancel", id: "c-1" });
  server.socket.count(...Array.from({ length: INBOX_MAX_EVENTS + 5 }, (_, index) => index + 1));
  await settle();
  expect(server.socket.isClosed).toBe(false);
  await read(stream, INBOX_MAX_EVENTS);
  await server.time.pass(0);
  expect(server.dialled).toEqual([0, INBOX_MAX_EVENTS]);
  expect(server.socket.sent).toEqual([{ type: "cancel", id: "c-1" }]);
  server.socket.say("ack", { id: "c-1" });
  await sending;
  server.socket.count(INBOX_MAX_EVENTS + 1);
  expect((await read(stream, 1))[0]!.seq).toBe(INBOX_MAX_EVENTS + 1);
});

test("a frame larger than the server takes is refused here, by its bytes", async () => {
  const stream = await open();
  expect(await failure(stream.sendMessage("x".repeat(2 ** 20)))).toMatchObject({ code: "message_too_large" });
  expect(await failure(stream.sendRaw("€".repeat(2 ** 19)))).toMatchObject({ code: "message_too_large" });
  await stream.sendRaw(`"${"x".repeat(2 ** 20 - 2)}"`);
  expect(server.socket.sent).toHaveLength(1);
});

test("raw frames are refused while the socket does not take them", async () => {
  const stream = await open();
  server.socket.buffered = 9 * 1024 * 1024;
  expect(await failure(stream.sendRaw("{}"))).toMatchObject({ code: "quota_exceeded", retryable: true });
});

test("closing gives what was received, ends the events and fails what waits", async () => {
  const stream = await open(0);
  server.socket.count(1);
  const waiting = failure(stream.sendMessage("hello"));
  await stream.close();
  await stream.close();
  expect(await waiting).toBeInstanceOf(PodiumConnectionError);
  expect(texts(await read(stream, 5))).toEqual(["1"]);
  expect(await failure(stream.sendMessage("too late"))).toMatchObject({ detail: "the connection was closed" });
});

test("closing while it reconnects ends that too", async () => {
  const stream = await open();
  server.prepare = () => undefined;
  server.socket.end();
  await server.time.pass(100);
  expect(server.sockets).toHaveLength(2);
  await stream.close();
  await server.time.pass(60_000);
  expect(server.sockets).toHaveLength(2);
});

test("no acknowledgement in time is an error that may be retried", async () => {
  const stream = await open();
  const sending = failure(stream.cancel({ timeoutMs: 5_000 }));
  await server.time.pass(5_000);
  expect(await sending).toMatchObject({ code: "unreachable", retryable: true, detail: "no acknowledgement within 5 s" });
  server.socket.end(1012);
  await server.time.pass(1_000);
  expect(server.socket.sent).toEqual([]);
});

test("frames that are no events are passed over", async () => {
  const stream = await open();
  server.socket.frame("not json");
  server.socket.frame("[1, 2]");
  server.socket.count(1);
  expect(texts(await read(stream, 1))).toEqual(["1"]);
});
