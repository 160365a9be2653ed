import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Session, SessionClient, SessionEvent } from "../../src/sessions/index.ts";
import { INBOX_MAX_EVENTS } from "../../src/stream/inbox.ts";
import { failure } from "../fake_server.ts";
import { settle } from "../virtual_time.ts";
import { FakeServer, info, SESSION, texts, type Message } from "./fake_server.ts";

let server: FakeServer;
let client: SessionClient;
let session: Session;

beforeEach(async () => {
  server = new FakeServer();
  client = server.client();
  session = client.session(SESSION);
  await client.connect();
});

afterEach(async () => {
  await client.close();
  expect(server.time.pending).toBe(0);
});

/** Joins, and has the server say where the session is. */
async function join(afterSeq?: number, lastSeq = 0, fields: Message = {}): Promise<void> {
  const joining = session.join({ afterSeq });
  await settle();
  server.socket.snapshot(lastSeq, fields);
  await joining;
}

/** Loses the connection and has the next one up. */
async function reconnect(): Promise<void> {
  server.socket.end();
  await server.time.pass(1_000);
}

test("joining gives the session as it is, and its events", async () => {
  const asked = { type: "question_requested", requestId: "q-1", questions: [], sessionId: SESSION, turnId: "turn-x", seq: 2, ts: 1 };
  const joining = session.join();
  await settle();
  expect(server.socket.of("join_session")[0]).toEqual({ type: "join_session", sessionId: SESSION, requestId: "r1" });
  server.socket.snapshot(7, { session: info({ state: "waiting", name: "n" }), pending: [asked] });
  expect((await joining).lastSeq).toBe(7);
  expect([session.state, session.info?.name, session.lastSeq, session.isJoined]).toEqual(["waiting", "n", 7, true]);
  expect(session.pending.map(({ requestId }) => requestId)).toEqual(["q-1"]);
  server.socket.count(8, 9);
  expect(await texts(session.events, 2)).toEqual(["8", "9"]);
});

test("the same id is the same session", () => {
  expect(client.session(SESSION)).toBe(session);
});

test("a session that was joined goes on behind its last event, and repeats none", async () => {
  await join(0, 3);
  server.socket.count(1, 2, 3);
  await reconnect();
  expect(server.socket.of("join_session")).toMatchObject([{ afterSeq: 3 }]);
  server.socket.count(4); // not before the snapshot: that is the rest of a join before
  server.socket.snapshot(5);
  server.socket.count(3, 4, 5);
  expect(await texts(session.events, 5)).toEqual(["1", "2", "3", "4", "5"]);
});

test("without a starting point it goes on behind what the first snapshot named", async () => {
  await join(undefined, 12);
  await reconnect();
  expect(server.socket.of("join_session")).toMatchObject([{ afterSeq: 12 }]);
});

test("a gap makes it resume instead of going on", async () => {
  await join(0);
  server.socket.count(1, 3);
  await server.time.pass(1_000);
  expect(server.socket.of("join_session")).toMatchObject([{ afterSeq: 1 }]);
  server.socket.snapshot(3);
  server.socket.count(2, 3);
  expect(await texts(session.events, 3)).toEqual(["1", "2", "3"]);
});

test("a join waits for a connection, and is made on the next one when the first is lost", async () => {
  server.socket.end();
  const joining = session.join({ afterSeq: 4 });
  await server.time.pass(1_000);
  expect(server.socket.of("join_session")).toHaveLength(1);
  await reconnect();
  expect(server.socket.of("join_session")).toMatchObject([{ afterSeq: 4 }]);
  server.socket.snapshot(4);
  expect((await joining).lastSeq).toBe(4);
});

test("joins go before what else waited", async () => {
  await join(0);
  server.socket.end();
  const sending = session.send("hello");
  await server.time.pass(1_000);
  expect(server.socket.sent.map(({ type }) => type)).toEqual(["authenticate", "join_session", "run_turn"]);
  server.socket.answer("run_turn", "ack", { turnId: "turn-x" });
  await sending;
});

test("a join that is refused fails, and can be tried again", async () => {
  const joining = failure(session.join());
  await settle();
  server.socket.answer("join_session", "error", { code: "SESSION_NOT_FOUND", message: "there is no such session" });
  expect(await joining).toMatchObject({ code: "SESSION_NOT_FOUND", operation: "join_session", sessionId: SESSION });
  expect(session.isJoined).toBe(false);
  await join(0, 1);
  server.socket.count(1);
  expect(await texts(session.events, 1)).toEqual(["1"]);
});

test("a join nobody answers is a time-out", async () => {
  const joining = failure(session.join({ timeoutMs: 5_000 }));
  await server.time.pass(5_000);
  expect(await joining).toMatchObject({ code: "TIMEOUT" });
  expect(server.socket.of("leave_session")).toHaveLength(1);
});

test("a session that is gone when it is joined again ends with the reason", async () => {
  await join(0);
  server.socket.count(1);
  await reconnect();
  server.socket.answer("join_session", "error", { code: "FORBIDDEN", message: "you were taken out" });
  expect(await texts(session.events, 1)).toEqual(["1"]);
  expect(await failure(session.events.next())).toMatchObject({ code: "FORBIDDEN", detail: "you were taken out" });
});

test("a session that can't be read now is joined again later", async () => {
  await join(0);
  await reconnect();
  server.socket.answer("join_session", "error", { code: "PODIUM_UNAVAILABLE", message: "not now" });
  await server.time.pass(1_000);
  expect(server.socket.of("join_session")).toHaveLength(2);
  server.socket.snapshot(1);
  server.socket.count(1);
  expect(await texts(session.events, 1)).toEqual(["1"]);
});

test("listeners are told of all events, or of those of a type, until they are taken out", async () => {
  const all: string[] = [];
  const states: string[] = [];
  const stop = session.on((event) => all.push(event.type));
  session.on("session_state", (event) => states.push(event.state));
  await join(0);
  server.socket.event("session_state", 1, { state: "running" });
  server.socket.count(2);
  stop();
  server.socket.event("session_state", 3, { state: "ready" });
  expect([all, states, session.state]).toEqual([["session_state", "text_delta"], ["running", "ready"], "ready"]);
});

test("what an event changes is known when a listener hears of it", async () => {
  await join(0);
  const seen: unknown[] = [];
  session.on((event) => seen.push([event.type, session.state, session.pending.length, session.lastSeq]));
  server.socket.event("session_state", 1, { state: "waiting" });
  server.socket.event("question_requested", 2, { requestId: "q-1", questions: [] });
  expect(seen).toEqual([["session_state", "waiting", 0, 1], ["question_requested", "waiting", 1, 2]]);
});

test("events wait for the first who takes them", async () => {
  await join(0);
  server.socket.count(1, 2);
  const heard: number[] = [];
  session.on("turn_started", () => heard.push(0));
  session.on((event) => heard.push(event.seq));
  server.socket.count(3);
  await settle();
  expect(heard).toEqual([1, 2, 3]);
  server.socket.count(4);
  expect(heard).toEqual([1, 2, 3, 4]);
});

test("a reader gets its own copy beside the listeners", async () => {
  const heard: number[] = [];
  session.on((event) => heard.push(event.seq));
  const events = session.events;
  await join(0);
  server.socket.count(1, 2);
  expect([heard, await texts(events, 2)]).toEqual([[1, 2], ["1", "2"]]);
});

test("a loop that was left can be followed by another one", async () => {
  await join(0);
  server.socket.count(1, 2);
  for await (const event of session.events) if (event.seq === 1) break;
  expect(await texts(session.events, 1)).toEqual(["2"]);
});

test("what nobody reads is left to the server until there is room", async () => {
  await join(0);
  const { events } = session;
  for (let seq = 1; seq <= INBOX_MAX_EVENTS + 5; seq += 1) server.socket.count(seq);
  await settle();
  expect(server.socket.of("leave_session")).toHaveLength(1);
  server.socket.answer("leave_session", "ack");
  await texts(events, INBOX_MAX_EVENTS / 2);
  await settle();
  expect(server.socket.of("join_session").at(-1)).toMatchObject({ afterSeq: INBOX_MAX_EVENTS });
  server.socket.snapshot(INBOX_MAX_EVENTS + 5);
  for (let seq = INBOX_MAX_EVENTS + 1; seq <= INBOX_MAX_EVENTS + 5; seq += 1) server.socket.count(seq);
  const rest = await texts(events, INBOX_MAX_EVENTS / 2 + 5);
  expect(rest.at(-1)).toBe(`${INBOX_MAX_EVENTS + 5}`);
});

test("questions are pending until they are resolved, or their turn is over", async () => {
  await join(0);
  const ids = (): string[] => session.pending.map(({ requestId }) => requestId);
  server.socket.event("question_requested", 1, { requestId: "q-1", questions: [] });
  server.socket.event("permission_requested", 2, { requestId: "p-1", toolName: "rm", options: [] });
  expect(ids()).toEqual(["q-1", "p-1"]);
  server.socket.event("approval_resolved", 3, { requestId: "q-1", outcome: "answered" });
  expect(ids()).toEqual(["p-1"]);
  server.socket.event("turn_complete", 4, { finalText: "", stopReason: "end_turn" });
  expect(ids()).toEqual([]);
});

test("a question is answered by its own id", async () => {
  await join(0);
  for (const [answer, sent] of [
    [{ answers: { color: "red" } }, { answers: { color: "red" } }],
    [{ optionId: "yes" }, { optionId: "yes" }],
    [{ dismissed: true }, { dismissed: true }],
  ] as const) {
    const answering = session.answer("q-1", answer);
    await settle();
    expect(server.socket.of("answer_question").at(-1)).toEqual({ type: "answer_question", sessionId: SESSION, requestId: "q-1", ...sent });
    server.socket.answer("answer_question", "ack");
    await answering;
  }
});

test("an answer that got through before the connection was lost is not refused when it is sent again", async () => {
  await join(0);
  server.socket.event("question_requested", 1, { requestId: "q-1", questions: [] });
  const answering = session.answer("q-1", { answers: {} });
  await settle();
  await reconnect();
  expect(server.socket.of("answer_question")).toHaveLength(1);
  server.socket.snapshot(2);
  server.socket.event("approval_resolved", 2, { requestId: "q-1", outcome: "answered" });
  server.socket.answer("answer_question", "error", { code: "INVALID_MESSAGE", message: "nobody asked" });
  await answering;
});

test("a turn is accepted with its id, and waits for an agent that has to be started", async () => {
  const sending = session.send("hello");
  await server.time.pass(80_000);
  const [sent] = server.socket.of("run_turn");
  expect(sent).toMatchObject({ text: "hello", sessionId: SESSION });
  expect(sent!["clientTurnId"]).toMatch(/^turn-[0-9a-f]{32}$/);
  server.socket.answer("run_turn", "ack", { turnId: "turn-x" });
  expect(await sending).toEqual({ turnId: "turn-x", clientTurnId: sent!["clientTurnId"] });
});

test("running a turn gives its end, also when that comes with the acknowledgement", async () => {
  await join(0);
  const running = session.run("hello");
  await settle();
  server.socket.event("turn_complete", 1, { turnId: "turn-before", finalText: "no", stopReason: "end_turn" });
  server.socket.answer("run_turn", "ack", { turnId: "turn-x" });
  server.socket.event("turn_complete", 2, { finalText: "yes", stopReason: "end_turn" });
  expect((await running).finalText).toBe("yes");
  const failing = failure(session.run("again"));
  await settle();
  server.socket.answer("run_turn", "ack", { turnId: "turn-y" });
  await settle();
  server.socket.event("turn_error", 3, { turnId: "turn-y", code: "boom", message: "it broke" });
  expect(await failing).toMatchObject({ code: "TURN_FAILED", detail: "it broke (boom)", cause: { seq: 3 } });
});

test("a turn that is waited for fails with the session", async () => {
  expect(await failure(session.run("hello"))).toMatchObject({ code: "INVALID_MESSAGE", detail: "join the session first" });
  await join(0);
  const running = failure(session.run("hello"));
  await settle();
  server.socket.answer("run_turn", "ack", { turnId: "turn-x" });
  await settle();
  server.socket.say("session_deleted", { sessionId: SESSION });
  expect(await running).toMatchObject({ code: "SESSION_NOT_FOUND", sessionId: SESSION });
  expect(await failure(session.events.next())).toMatchObject({ detail: "the session was deleted" });
});

test("each call is the message it stands for", async () => {
  const answers: Message = { file_list: { files: [{ path: "a" }] }, file_history: { versions: [1] }, history: { messages: [] } };
  for (const [ask, sent, answer, given] of [
    [() => session.stop(), { type: "stop_turn" }, "ack", undefined],
    [() => session.steer("left"), { type: "steer", text: "left" }, "ack", undefined],
    [() => session.history({ before: 5, limit: 2 }), { type: "get_history", before: 5, limit: 2 }, "history", expect.objectContaining({ messages: [] })],
    [() => session.eventsAfter(3, 9), { type: "get_events", afterSeq: 3, limit: 9 }, "events", expect.objectContaining({ type: "events" })],
    [() => session.listFiles("d", 2), { type: "list_files", path: "d", depth: 2 }, "file_list", [{ path: "a" }]],
    [() => session.readFile("a"), { type: "read_file", path: "a" }, "file_content", expect.objectContaining({ type: "file_content" })],
    [() => session.fileHistory("a"), { type: "file_history", path: "a" }, "file_history", [1]],
    [() => session.fileAtIteration("a", 4), { type: "file_at_iteration", path: "a", iteration: 4 }, "file_content", expect.anything()],
    [() => session.rename("n"), { type: "rename_session", name: "n" }, "session_updated", undefined],
    [() => session.archive(), { type: "archive_session" }, "session_updated", undefined],
    [() => session.unarchive(), { type: "unarchive_session" }, "session_updated", undefined],
    [() => session.delete(), { type: "delete_session" }, "session_deleted", undefined],
  ] as const) {
    const asked: Promise<unknown> = ask();
    await settle();
    const { requestId: _, ...rest } = server.socket.sent.at(-1)!;
    expect(rest).toEqual({ sessionId: SESSION, ...sent });
    const session_ = answer === "session_updated" ? { session: info({ name: "n" }) } : {};
    server.socket.answer(sent.type, answer, { sessionId: SESSION, ...session_, ...answers[answer] });
    expect(await asked).toEqual(given);
  }
});

test("deleting a session that is gone is fine; its reader just ends", async () => {
  await join(0);
  const { events } = session;
  const deleting = session.delete();
  await settle();
  server.socket.answer("delete_session", "session_deleted", { sessionId: SESSION });
  await deleting;
  expect(await events.next()).toEqual({ done: true, value: undefined });
  const again = client.session(SESSION).delete();
  await settle();
  server.socket.answer("delete_session", "error", { code: "SESSION_NOT_FOUND", message: "there is no such session" });
  await again;
});

test("what others change is known, and a rewind brings the session as it is now", async () => {
  await join(0);
  server.socket.say("session_updated", { session: info({ name: "renamed" }) });
  expect(session.info?.name).toBe("renamed");
  server.socket.event("question_requested", 1, { requestId: "q-1", questions: [] });
  const rewound: number[] = [];
  const stop = session.onRewound(({ lastSeq }) => rewound.push(lastSeq));
  server.socket.say("state_snapshot", { session: info({ state: "ready" }), recentHistory: [], lastSeq: 1, pending: [] });
  stop();
  expect([session.state, session.pending.length, session.lastSeq, rewound]).toEqual(["ready", 0, 1, [1]]);
  server.socket.count(2);
  expect(await texts(session.events, 2)).toEqual(["question_requested", "2"]);
});

test("who left hears nothing more, and may come back", async () => {
  await join(0);
  const leaving = session.leave();
  await settle();
  server.socket.answer("leave_session", "ack");
  await leaving;
  server.socket.count(1);
  await reconnect();
  expect(server.socket.of("join_session")).toEqual([]);
  await join(0, 1);
  server.socket.count(1);
  expect(await texts(session.events, 1)).toEqual(["1"]);
});

test("leaving ends a join that waits", async () => {
  server.socket.end();
  const joining = failure(session.join());
  await session.leave();
  expect(await joining).toMatchObject({ code: "CLOSED", detail: "the session was left" });
});

test("closing the client ends loops without an error", async () => {
  await join(0);
  server.socket.count(1);
  const seen: SessionEvent[] = [];
  const reading = (async () => {
    for await (const event of session.events) seen.push(event);
  })();
  await client.close();
  await reading;
  expect(seen.map(({ seq }) => seq)).toEqual([1]);
});

test("events of types this client does not know are handed on", async () => {
  await join(0);
  server.socket.event("of_tomorrow", 1);
  expect((await session.events.next()).value?.type as string).toBe("of_tomorrow");
});
