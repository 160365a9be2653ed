import { afterEach, beforeEach, expect, test } from "bun:test";
import { SessionError, type SessionClient, type SessionClientOptions } from "../../src/sessions/index.ts";
import { failure } from "../fake_server.ts";
import { settle } from "../virtual_time.ts";
import { FakeServer, IDENTITY, info, SESSION } from "./fake_server.ts";

let server: FakeServer;
let client: SessionClient;

beforeEach(() => {
  server = new FakeServer();
});

afterEach(async () => {
  await client.close();
  expect(server.time.pending).toBe(0);
  expect(server.sockets.every((socket) => socket.readyState === 3)).toBe(true);
});

async function online(options: SessionClientOptions = {}): Promise<void> {
  client = server.client(options);
  await client.connect();
}

test("a client is greeted, authenticates, and knows who it is", async () => {
  await online({ url: "https://agents.example" });
  expect(server.socket.url).toBe("wss://agents.example/ws");
  expect(server.socket.sent).toEqual([{ type: "authenticate", token: "pod_x", protocolVersion: 1 }]);
  expect([client.identity, client.status]).toEqual([IDENTITY, "online"]);
});

test("an address may name its path, and must be one of http or WebSockets", async () => {
  for (const [given, opened] of [
    ["http://127.0.0.1:8080", "ws://127.0.0.1:8080/ws"],
    ["ws://127.0.0.1:8080/", "ws://127.0.0.1:8080/ws"],
    ["wss://agents.example/sessions?a=1", "wss://agents.example/sessions?a=1"],
    [undefined, "ws://127.0.0.1:8080/ws"],
  ] as const) {
    await online({ url: given });
    expect(server.socket.url).toBe(opened);
    await client.close();
  }
  expect(() => server.client({ url: "ftp://a" })).toThrow(TypeError);
});

test("no token is sent where none is asked for", async () => {
  server.prepare = (socket) => socket.welcome(false);
  await online({ token: undefined });
  expect(server.socket.sent).toEqual([]);
  expect(client.identity).toEqual(IDENTITY);
});

test("a missing token, and a server of another version, end it", async () => {
  client = server.client({ token: undefined });
  expect(await failure(client.connect())).toMatchObject({ code: "UNAUTHENTICATED", operation: "connect", retryable: false });
  server.prepare = (socket) => socket.welcome(true, 2);
  client = server.client();
  expect(await failure(client.connect())).toMatchObject({ code: "PROTOCOL_VERSION_MISMATCH" });
  expect(await failure(client.listSessions())).toMatchObject({ code: "PROTOCOL_VERSION_MISMATCH", operation: "list_sessions" });
  expect(client.status).toBe("closed");
});

test("a token that is refused ends it, and is not repeated in the error", async () => {
  server.prepare = (socket) => {
    socket.heard = () => socket.say("error", { code: "AUTH_FAILED", message: "the token is not valid" });
    socket.welcome();
  };
  client = server.client({ token: "pod_secret" });
  const error = await failure(client.connect());
  expect(error).toBeInstanceOf(SessionError);
  expect(error).toMatchObject({ code: "AUTH_FAILED", detail: "the token is not valid" });
  expect(JSON.stringify(error) + String(error.stack)).not.toContain("pod_secret");
});

test("a function is asked for a fresh token before each connection, and once more when one is refused", async () => {
  const tokens = ["old", "fresh", "next"];
  server.prepare = (socket) => {
    socket.heard = ({ token }) => {
      if (token === "old") socket.say("error", { code: "AUTH_FAILED", message: "the token has ended" });
      else socket.say("authenticated", { identity: IDENTITY });
    };
    socket.welcome();
  };
  client = server.client({ token: () => Promise.resolve(tokens.shift() ?? "none") });
  const connecting = client.connect();
  await server.time.pass(1_000);
  await connecting;
  server.socket.end(4401, "AUTH_FAILED");
  await server.time.pass(1_000);
  expect(client.status).toBe("online");
  expect(server.sockets.map((socket) => socket.sent[0]!["token"])).toEqual(["old", "fresh", "next"]);
});

test("fresh tokens that are refused twice in a row end it", async () => {
  server.prepare = (socket) => {
    socket.heard = () => socket.end(4401, "AUTH_FAILED");
    socket.welcome();
  };
  client = server.client({ token: () => "stale" });
  const connecting = failure(client.connect());
  await server.time.pass(5_000);
  expect(await connecting).toMatchObject({ code: "AUTH_FAILED" });
  expect(server.sockets).toHaveLength(2);
});

test("a token that can't be had, or does not come, is asked for again", async () => {
  const answers = [() => Promise.reject(new Error("offline")), () => new Promise<string>(() => undefined), () => "good"];
  client = server.client({ token: () => answers.shift()!() });
  const errors: unknown[] = [];
  client.onStatus(({ error }) => errors.push(error?.detail));
  const connecting = client.connect();
  await server.time.pass(40_000);
  expect(await connecting).toEqual(IDENTITY);
  expect(errors).toEqual(["no token could be had", "no token could be had", undefined]);
});

test("who tried too many tokens waits as long as the server says", async () => {
  let tries = 0;
  server.prepare = (socket) => {
    tries += 1;
    socket.heard = () => {
      if (tries === 1) socket.say("error", { code: "AUTH_RATE_LIMITED", message: "too many", retryAfterMs: 60_000 });
      else socket.say("authenticated", { identity: IDENTITY });
    };
    socket.welcome();
  };
  client = server.client();
  const connecting = client.connect();
  await server.time.pass(59_000);
  expect(tries).toBe(1);
  await server.time.pass(2_000);
  expect(await connecting).toEqual(IDENTITY);
});

test("a server that does not answer is tried again, with growing pauses, for as long as it takes", async () => {
  server.prepare = (socket) => socket.end(1006);
  client = server.client();
  const statuses: string[] = [];
  client.onStatus(({ status, error }) => statuses.push(`${status} ${error?.code}`));
  const connecting = client.connect();
  await server.time.pass(3_600_000);
  expect(server.time.asked.filter((wait) => wait > 100 && wait < 30_000).slice(0, 8)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  expect(new Set(statuses)).toEqual(new Set(["offline UNREACHABLE"]));
  server.prepare = (socket) => server.letIn(socket);
  await server.time.pass(15_000);
  expect(await connecting).toEqual(IDENTITY);
});

test("one who waits for the connection may stop waiting", async () => {
  server.prepare = () => undefined;
  client = server.client();
  const giveUp = new AbortController();
  const connecting = failure(client.connect({ signal: giveUp.signal }));
  giveUp.abort(new Error("enough"));
  expect((await connecting).message).toBe("enough");
  expect(client.status).toBe("connecting");
});

test("a server that greets and then says nothing is given up", async () => {
  server.prepare = (socket) => socket.welcome();
  client = server.client();
  const connecting = client.connect();
  await server.time.pass(30_000);
  server.prepare = (socket) => server.letIn(socket);
  await server.time.pass(1_000);
  expect(await connecting).toEqual(IDENTITY);
});

test("a peer that gives no sign of life is replaced; heartbeats are one", async () => {
  await online();
  for (let beat = 0; beat < 6; beat += 1) {
    await server.time.pass(15_000);
    server.socket.say("heartbeat", { ts: 1 });
  }
  expect(server.socket.of("ping")).toEqual([]);
  await server.time.pass(20_000);
  expect(server.socket.of("ping")).toEqual([{ type: "ping", requestId: "heartbeat" }]);
  server.socket.say("pong", { requestId: "heartbeat", ts: 1 });
  await server.time.pass(20_000);
  expect(server.sockets).toHaveLength(1);
  await server.time.pass(60_000);
  expect(server.sockets.length).toBeGreaterThan(1);
});

test("answers find their requests, in any order", async () => {
  await online();
  const [listed, pinged] = [client.listSessions({ includeArchived: true }), client.ping()];
  await settle();
  expect(server.socket.of("list_sessions")[0]).toMatchObject({ includeArchived: true });
  await server.time.pass(40);
  server.socket.answer("ping", "pong", { ts: 1 });
  server.socket.answer("list_sessions", "session_list", { sessions: [info({ name: "one" })] });
  expect(await pinged).toBe(40);
  expect((await listed).map((session) => [session.id, session.info?.name, session.state])).toEqual([[SESSION, "one", "inactive"]]);
});

test("an error answers the request it names", async () => {
  await online();
  const making = failure(client.createSession("echo", { name: "n", metadata: { a: 1 } }));
  await settle();
  expect(server.socket.of("create_session")[0]).toMatchObject({ agentType: "echo", name: "n", metadata: { a: 1 } });
  server.socket.answer("create_session", "error", { code: "FORBIDDEN", message: "your role is viewer" });
  expect(await making).toMatchObject({ code: "FORBIDDEN", operation: "create_session", detail: "your role is viewer" });
});

test("requests made without a connection are sent when there is one", async () => {
  client = server.client();
  const making = client.createSession("echo");
  await settle();
  server.socket.answer("create_session", "session_created", { session: info() });
  expect((await making).id).toBe(SESSION);
});

test("what may be sent twice is sent again after a lost connection; what may not has failed", async () => {
  await online();
  const listed = client.listSessions();
  const made = failure(client.createSession("echo"));
  const sent = client.session(SESSION).send("hello", { clientTurnId: "t-1" });
  const steered = failure(client.session(SESSION).steer("left"));
  await settle();
  server.socket.end();
  expect(await made).toMatchObject({ code: "DISCONNECTED", retryable: false });
  expect(await steered).toMatchObject({ code: "DISCONNECTED", sessionId: SESSION });
  await server.time.pass(1_000);
  const again = server.socket.sent.filter(({ type }) => type !== "authenticate");
  expect(again).toEqual([
    { type: "list_sessions", includeArchived: false, requestId: "r1" },
    { type: "run_turn", sessionId: SESSION, text: "hello", clientTurnId: "t-1", requestId: "r3" },
  ]);
  server.socket.answer("list_sessions", "session_list", { sessions: [] });
  server.socket.answer("run_turn", "ack", { turnId: "turn-x" });
  expect(await listed).toEqual([]);
  expect(await sent).toEqual({ turnId: "turn-x", clientTurnId: "t-1" });
});

test("an answer that does not come is a time-out, or says that there was no connection", async () => {
  await online();
  const unanswered = failure(client.listSessions());
  await server.time.pass(30_000);
  expect(await unanswered).toMatchObject({ code: "TIMEOUT", retryable: false });
  server.prepare = (socket) => socket.end();
  server.socket.end();
  const unsent = failure(client.listSessions({ timeoutMs: 5_000 }));
  await server.time.pass(5_000);
  expect(await unsent).toMatchObject({ code: "UNREACHABLE", retryable: true, detail: "no connection within 5 s" });
});

test("no more is sent than the server reads", async () => {
  await online();
  const all = Array.from({ length: 70 }, () => client.ping().catch(() => 0));
  await settle();
  expect(server.socket.of("ping")).toHaveLength(50);
  await server.time.pass(9_999);
  expect(server.socket.of("ping")).toHaveLength(50);
  await server.time.pass(1);
  expect(server.socket.of("ping")).toHaveLength(70);
  for (const { requestId } of server.socket.of("ping")) server.socket.say("pong", { requestId, ts: 1 });
  await Promise.all(all);
});

test("what the server did not read for a rate limit is sent again when it may", async () => {
  await online();
  const named = client.listSessions();
  const unnamed = client.ping();
  const refused = failure(client.session(SESSION).send("hello"));
  await settle();
  server.socket.answer("run_turn", "error", { code: "RATE_LIMITED", message: "too many wait for this session already" });
  expect(await refused).toMatchObject({ code: "RATE_LIMITED", operation: "run_turn" });
  server.socket.answer("list_sessions", "error", { code: "RATE_LIMITED", message: "too many", retryAfterMs: 4_000 });
  server.socket.say("error", { code: "RATE_LIMITED", message: "too many" });
  await server.time.pass(3_000);
  expect([server.socket.of("list_sessions").length, server.socket.of("ping").length]).toEqual([1, 1]);
  await server.time.pass(7_000);
  expect([server.socket.of("list_sessions").length, server.socket.of("ping").length]).toEqual([2, 2]);
  server.socket.answer("list_sessions", "session_list", { sessions: [] });
  server.socket.answer("ping", "pong", { ts: 1 });
  expect([await named, await unnamed]).toEqual([[], 10_000]);
});

test("a message that is too large is refused before it is sent", async () => {
  await online();
  const error = await failure(client.session(SESSION).send("ä".repeat(600_000)));
  expect(error).toMatchObject({ code: "MESSAGE_TOO_LARGE", operation: "run_turn" });
  expect(server.socket.of("run_turn")).toEqual([]);
});

test("members are listed, set and removed", async () => {
  await online();
  const members = [{ userId: "ada", role: "owner" }];
  for (const [ask, sent] of [
    [() => client.members(), { action: "list" }],
    [() => client.setMember("bob", "viewer"), { action: "set", userId: "bob", role: "viewer" }],
    [() => client.removeMember("bob"), { action: "remove", userId: "bob" }],
  ] as const) {
    const asked = ask();
    await settle();
    expect(server.socket.of("manage_members").at(-1)).toMatchObject(sent);
    server.socket.answer("manage_members", "member_list", { members });
    expect(await asked).toEqual(members);
  }
});

test("a closed client fails what waits and what is asked later, and says so once", async () => {
  await online();
  const waiting = failure(client.listSessions());
  const statuses: string[] = [];
  client.onStatus(({ status }) => statuses.push(status));
  await Promise.all([client.close(), client.close()]);
  expect(await waiting).toMatchObject({ code: "CLOSED" });
  expect(await failure(client.ping())).toMatchObject({ code: "CLOSED", operation: "ping" });
  expect(await failure(client.connect())).toMatchObject({ code: "CLOSED" });
  await server.time.pass(60_000);
  expect([statuses, server.sockets.length]).toEqual([["closed"], 1]);
});

test("what is no message of the protocol, and answers to nothing, are passed over", async () => {
  await online();
  server.socket.onmessage?.({ data: "no json" });
  server.socket.onmessage?.({ data: "[1]" });
  server.socket.onmessage?.({ data: new ArrayBuffer(4) });
  server.socket.say("of_tomorrow", { requestId: "r9" });
  server.socket.say("error", { code: "INVALID_MESSAGE", message: "?" });
  expect(client.status).toBe("online");
});

test("a listener that throws stops nobody else, and its error is not hidden", async () => {
  client = server.client();
  const heard: string[] = [];
  const stopThrowing = client.onStatus(() => {
    throw new Error("mine");
  });
  const stop = client.onStatus(({ status }) => heard.push(status));
  const uncaught: (() => void)[] = [];
  const { queueMicrotask } = globalThis;
  try {
    const connecting = client.connect();
    globalThis.queueMicrotask = (act) => (String(act).includes("throw") ? uncaught.push(act) : queueMicrotask(act));
    await connecting;
  } finally {
    globalThis.queueMicrotask = queueMicrotask;
  }
  stopThrowing();
  stop();
  await client.close();
  expect([heard, uncaught.length]).toEqual([["online"], 1]);
  expect(uncaught[0]).toThrow("mine");
});
