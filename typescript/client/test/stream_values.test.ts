import { describe, expect, test } from "bun:test";
import { factsOfClose } from "../src/errors.ts";
import { Cursor } from "../src/stream/cursor.ts";
import { isKind, kindOf, readFrame, textOf, type PodiumEvent } from "../src/stream/event.ts";
import { Inbox, INBOX_MAX_CHARS, INBOX_MAX_EVENTS } from "../src/stream/inbox.ts";
import { ANSWERED_MAX, Outbox, OUTBOX_MAX_COMMANDS } from "../src/stream/outbox.ts";
import { afterClose, waitBefore, type Next } from "../src/stream/reconnect.ts";
import { CLOSE_CODES } from "../src/wire/errors.ts";

function event(seq: number, messageType = "stream_update", content: Record<string, unknown> = {}): PodiumEvent {
  return { messageType, content, seq, ts: 0 };
}

describe("cursor", () => {
  test("events are delivered in order and once", () => {
    const cursor = new Cursor(4);
    expect([5, 5, 4, 6].map((seq) => cursor.take(event(seq)))).toEqual(["deliver", "skip", "skip", "deliver"]);
    expect(cursor.seq).toBe(6);
  });

  test("a gap is noticed and nothing is taken", () => {
    const cursor = new Cursor(4);
    expect([cursor.take(event(6)), cursor.seq]).toEqual(["gap", 4]);
  });

  test("without a position reading begins after what was", () => {
    const cursor = new Cursor(undefined);
    cursor.begin(10);
    cursor.begin(99);
    expect(cursor.take(event(11))).toBe("deliver");
  });

  test("a number whose content is lost counts and is not delivered", () => {
    const cursor = new Cursor(4);
    const taken = [event(5, "event.lost"), event(6, "event.lost"), event(7)].map((each) => cursor.take(each));
    expect(taken).toEqual(["skip", "skip", "deliver"]);
    expect(cursor.seq).toBe(7);
  });

  test("frames without a number pass", () => {
    expect(new Cursor(7).take(event(0, "pong"))).toBe("deliver");
  });

  test("a question that is sent again is delivered to whoever has not seen it, once", () => {
    const cursor = new Cursor(0);
    const question = event(3, "tool.permission_requested", { request_id: "req-1" });
    const taken = [question, event(1), event(2), question, event(4)].map((each) => cursor.take(each));
    expect(taken).toEqual(["deliver", "deliver", "deliver", "skip", "deliver"]);
    const resolved = event(5, "tool.approval_resolved", { request_id: "req-1" });
    expect([cursor.take(resolved), cursor.seq]).toEqual(["deliver", 5]);
  });
});

describe("what follows a close code", () => {
  const TABLE: readonly (readonly [number | undefined, Next])[] = [
    [undefined, "later"],
    [CLOSE_CODES.NORMAL, "later"],
    [CLOSE_CODES.TOO_LARGE, "end"],
    [CLOSE_CODES.INTERNAL, "later"],
    [CLOSE_CODES.MOVING, "at_once"],
    [CLOSE_CODES.TRY_LATER, "later"],
    [CLOSE_CODES.BAD_FRAMES, "end"],
    [CLOSE_CODES.UNAUTHENTICATED, "end"],
    [CLOSE_CODES.NOT_FOUND, "end"],
    [CLOSE_CODES.SLOW_CONSUMER, "at_once"],
    [CLOSE_CODES.STOPPED, "end"],
    [CLOSE_CODES.RESUME_GONE, "end"],
    [CLOSE_CODES.RATE_LIMITED, "later"],
  ];

  test("every close code has a row", () => {
    expect(new Set(TABLE.map(([code]) => code))).toEqual(new Set([undefined, ...Object.values(CLOSE_CODES)]));
  });

  test.each(TABLE)("%p → %s", (code, next) => {
    expect(afterClose(code)).toBe(next);
  });

  test.each([
    [4401, "unauthenticated"],
    [4404, "instance_not_found"],
    [4409, "instance_stopping"],
    [4410, "resume_gone"],
    [1006, "unreachable"],
    [undefined, "unreachable"],
  ] as const)("%p is the error %s", (code, expected) => {
    expect(factsOfClose(code).code).toBe(expected);
  });

  test("at once means at once only the first time; waits grow to five seconds", () => {
    expect([waitBefore(1, "at_once", 0.9), waitBefore(2, "at_once", 1)]).toEqual([0, 200]);
    const waits = [1, 2, 3, 4, 5, 6, 7, 8].map((attempt) => waitBefore(attempt, "later", 1));
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });
});

describe("events", () => {
  test("a frame becomes an event; aliases have their canonical name", () => {
    const read = readFrame('{"messageType":"update","content":{"text":"hi"},"agentId":"a","turnId":"t","seq":3,"ts":9}')!;
    expect(read).toEqual({ messageType: "update", content: { text: "hi" }, agentId: "a", turnId: "t", seq: 3, ts: 9 });
    expect([kindOf(read), textOf(read), isKind(read, "stream_update"), isKind(read, "stream_end")]).toEqual(["stream_update", "hi", true, false]);
  });

  test.each(["no json", "[1]", "7", "null", '{"content":{}}', '{"messageType":7}'])("%s is no event", (frame) => {
    expect(readFrame(frame)).toBeUndefined();
  });

  test("names of an object's own making are no aliases", () => {
    expect(kindOf(event(1, "constructor"))).toBe("constructor");
  });
});

describe("inbox", () => {
  test("events come in order, over loops that were left, and after it was closed", async () => {
    const read: number[] = [];
    const inbox = new Inbox<PodiumEvent>((each) => read.push(each.seq));
    const early = inbox.next();
    for (let seq = 1; seq <= 2_500; seq += 1) inbox.put(event(seq), 1);
    expect((await early).value?.seq).toBe(1);
    for await (const each of inbox) if (each.seq === 1_200) break;
    inbox.close();
    for await (const each of inbox) expect(each.seq).toBe(read.length);
    expect(read).toEqual(Array.from({ length: 2_500 }, (_, index) => index + 1));
    expect(inbox.size).toBe(0);
  });

  test("why it ended is thrown when all was read", async () => {
    const inbox = new Inbox<PodiumEvent>(() => undefined);
    inbox.put(event(1), 1);
    inbox.close(new Error("first"));
    inbox.close(new Error("second"));
    expect((await inbox.next()).value?.seq).toBe(1);
    await expect(inbox.next()).rejects.toThrow("first");
  });

  test("it is full by number or by size, and has room again at half of it", async () => {
    const many = new Inbox<PodiumEvent>(() => undefined);
    for (let seq = 1; seq <= INBOX_MAX_EVENTS; seq += 1) many.put(event(seq), 1);
    expect([many.isFull, many.hasRoom]).toEqual([true, false]);
    for (let reads = 0; reads < INBOX_MAX_EVENTS / 2; reads += 1) await many.next();
    expect([many.isFull, many.hasRoom]).toEqual([false, true]);
    const large = new Inbox<PodiumEvent>(() => undefined);
    large.put(event(1), INBOX_MAX_CHARS);
    expect(large.isFull).toBe(true);
  });
});

describe("outbox", () => {
  test("what is not settled is kept in order; the same id shares one answer", async () => {
    const outbox = new Outbox("inst-1");
    const [one, two] = [outbox.add("1", "first"), outbox.add("2", "second")];
    expect(outbox.add("1", "again")).toBe(one);
    expect(outbox.frames).toEqual(["first", "second"]);
    expect(outbox.settle(event(0, "ack", { id: "1", turn_id: "t" }))).toBe(true);
    expect(outbox.settle(event(0, "ack", { id: "3" }))).toBe(false);
    expect(outbox.settle(event(0, "nack", { id: "2", code: "busy", message: "not now" }))).toBe(true);
    expect((await one).turn_id).toBe("t");
    await expect(two).rejects.toMatchObject({ code: "busy", status: 409, detail: "not now", instanceId: "inst-1" });
    expect(outbox.size).toBe(0);
  });

  test("an answer that comes again is known, for the last thousand", () => {
    const outbox = new Outbox("inst-1");
    for (let number = 0; number <= ANSWERED_MAX; number += 1) {
      void outbox.add(`${number}`, "x");
      outbox.settle(event(0, "ack", { id: `${number}` }));
    }
    const again = [0, 1, ANSWERED_MAX].map((number) => outbox.settle(event(0, "ack", { id: `${number}` })));
    expect(again).toEqual([false, true, true]);
    void outbox.add("1", "x");
    expect([outbox.size, outbox.settle(event(0, "ack", { id: "1" })), outbox.size]).toEqual([1, true, 0]);
  });

  test("it holds a thousand commands and no more", () => {
    const outbox = new Outbox("inst-1");
    for (let number = 0; number < OUTBOX_MAX_COMMANDS; number += 1) void outbox.add(`${number}`, "x");
    expect(() => outbox.add("more", "x")).toThrow("wait for an acknowledgement");
  });
});
