import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { filePath } from "../src/api/call.ts";
import { bytesOf, PodiumClient, PodiumConnectionError, systemTiming } from "../src/index.ts";
import { readSettings } from "../src/settings.ts";
import { failure } from "./fake_server.ts";
import { problem, StubGateway } from "./stub_gateway.ts";

const ID = "inst-aaaaaaaaaaaaaaaa";
const INSTANCE = { instance_id: ID, agent_id: "me", deployment_id: "echo:1.0.0@12345678", status: "ready", coordinator_id: "c", created_at: 1 };

/** Clock and timers of the host, except that waits between tries take no time; they are kept to look at. */
class Hurry {
  readonly waits: number[] = [];
  readonly limits: number[] = [];
  now(): number {
    return performance.now();
  }
  chance(): number {
    return 0.999;
  }
  after(milliseconds: number, act: () => void): () => void {
    const isWait = milliseconds < 4_000;
    (isWait ? this.waits : this.limits).push(Math.round(milliseconds));
    const timer = setTimeout(act, isWait ? 0 : milliseconds);
    return () => clearTimeout(timer);
  }
}

let gateway: StubGateway;
let hurry: Hurry;
let podium: PodiumClient;

beforeEach(() => {
  gateway = new StubGateway();
  hurry = new Hurry();
  podium = new PodiumClient({ url: gateway.url, apiKey: "pod_test", timing: hurry });
});

afterEach(async () => {
  await podium.close();
  await gateway.stop();
});

describe("createInstance", () => {
  test("names the deployment as the interface says, in both forms of the call", async () => {
    gateway.answers = [Response.json(INSTANCE, { status: 201 })];
    const made = await podium.createInstance("echo", { agentId: "me", secrets: { A: "1" }, environment: { B: "2" } });
    expect(made).toEqual({ instanceId: ID, deploymentId: "echo:1.0.0@12345678", agentId: "me" });
    await podium.createInstance({ agentType: "echo", deploymentId: "echo:2.0.0", idleTimeout: "10m", config: { a: 1 } });
    const [first, second] = gateway.seen;
    expect([first!.method, first!.path, first!.headers.get("authorization")]).toEqual(["POST", "/api/v1/instances", "Bearer pod_test"]);
    expect(JSON.parse(first!.body)).toEqual({ deployment_id: "echo:1.0.0@local", agent_id: "me", secrets: { A: "1" }, environment: { B: "2" } });
    expect(JSON.parse(second!.body)).toEqual({ deployment_id: "echo:2.0.0", config: { a: 1 }, idle_timeout: "10m" });
    expect(hurry.limits).toEqual([65_000, 65_000]);
  });

  test("repeats itself with the same Idempotency-Key, another for each call", async () => {
    gateway.answers = [problem("no_coordinator_available"), problem("draining"), Response.json(INSTANCE)];
    await podium.createInstance("echo");
    await podium.createInstance("echo");
    const keys = gateway.seen.map((seen) => seen.headers.get("idempotency-key"));
    expect(keys).toHaveLength(4);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(keys[3]).not.toBe(keys[0]!);
    expect(hurry.waits).toEqual([500, 999]);
  });

  test("sends nothing while the circuit is open", async () => {
    gateway.answers = [problem("no_coordinator_available")];
    for (let call = 0; call < 5; call += 1) await failure(podium.createInstance("echo"));
    expect([gateway.seen.length, podium.instances.circuit.circuit]).toEqual([20, "open"]);
    expect(await failure(podium.createInstance("echo"))).toMatchObject({ code: "unreachable", status: undefined });
    expect(gateway.seen).toHaveLength(20);
  });

  test("equal calls for one agent share a request while it is under way, others do not", async () => {
    gateway.answers = [async () => (await Bun.sleep(20), Response.json(INSTANCE))];
    const options = { agentId: "me", environment: { A: "1" } };
    const alike = [podium.createInstance("echo", options), podium.createInstance({ ...options, agentType: "echo" })];
    const others = [podium.createInstance("echo", { agentId: "me" }), podium.createInstance("echo"), podium.createInstance("echo")];
    await Promise.all([...alike, ...others]);
    expect(gateway.seen).toHaveLength(4);
  });

  test("whoever stops waiting for a shared call ends it for nobody else", async () => {
    gateway.answers = [async () => (await Bun.sleep(20), Response.json(INSTANCE))];
    const stop = new AbortController();
    const both = [failure(podium.createInstance("echo", { agentId: "me", signal: stop.signal })), podium.createInstance("echo", { agentId: "me" })];
    stop.abort("enough");
    expect(await Promise.all(both)).toMatchObject(["enough", { instanceId: ID }]);
  });

  test("tells what the agent logged when it could not start, and does not try again", async () => {
    gateway.answers = [problem("agent_start_failed", { detail: "on_init threw", logs: ["Traceback"] })];
    const error = await failure(podium.createInstance("echo"));
    expect(error).toBeInstanceOf(PodiumConnectionError);
    expect(error).toMatchObject({ operation: "createInstance", status: 422, code: "agent_start_failed", logs: ["Traceback"], requestId: "r-1" });
    expect([error.retryable, error.name, error.message]).toEqual([false, "PodiumConnectionError", "createInstance: on_init threw (agent_start_failed)"]);
    expect(gateway.seen).toHaveLength(1);
  });
});

describe("the probe", () => {
  test.each([200, 404, 503])("asks once and never throws (%d)", async (status) => {
    gateway.answers = [Response.json({}, { status })];
    expect(await podium.isAlive(ID)).toBe(status === 200);
    expect([gateway.seen.length, hurry.limits]).toEqual([1, [5_000]]);
  });

  test("is false where nobody listens, and where nobody answers", async () => {
    const nobody = new PodiumClient({ url: "http://127.0.0.1:1", apiKey: "" });
    expect(await nobody.isAlive(ID)).toBe(false);
    gateway.answers = [() => new Promise<Response>(() => undefined)];
    const timing = { ...hurry, now: () => 0, chance: () => 0, after: (_: number, act: () => void) => (setTimeout(act, 10), () => undefined) };
    const silent = new PodiumClient({ url: gateway.url, apiKey: "", timing });
    expect(await silent.isAlive(ID)).toBe(false);
  });
});

test("stopping what is gone is a success; other failures are not", async () => {
  gateway.answers = [problem("instance_not_found"), problem("permission_denied")];
  await podium.stopInstance(ID);
  expect(gateway.seen[0]).toMatchObject({ method: "DELETE", path: `/api/v1/instances/${ID}` });
  expect(await failure(podium.stopInstance(ID))).toMatchObject({ code: "permission_denied", status: 403, instanceId: ID });
});

test("file requests use the routes of the interface, within 15 s each", async () => {
  const content = { path: "a/b.txt", content: "aGk=", encoding: "base64", size: 2, hash: "h", iteration: 3 };
  gateway.answers = [
    Response.json({ path: "", iteration: 3, entries: [{ name: "b.txt", path: "a/b.txt", type: "file" }], next_cursor: "n" }),
    Response.json({ path: "", iteration: 3, entries: [{ name: "c.txt", path: "a/c.txt", type: "file" }], next_cursor: null }),
    Response.json(content),
    Response.json({ path: "a/b.txt", iterations: [{ iteration: 3 }, { iteration: 1 }], next_cursor: null }),
    Response.json(content),
  ];
  expect((await podium.listFiles(ID, "a", 2)).map((entry) => entry.name)).toEqual(["b.txt", "c.txt"]);
  expect(new TextDecoder().decode(bytesOf(await podium.readFile(ID, "a/b.txt")))).toBe("hi");
  expect((await podium.fileHistory(ID, "a/b.txt")).map((meta) => meta.iteration)).toEqual([3, 1]);
  expect((await podium.fileAtIteration(ID, "a/b.txt", 3)).iteration).toBe(3);
  const base = `/api/v1/instances/${ID}/files`;
  expect(gateway.seen.map((seen) => seen.path)).toEqual([
    `${base}?path=a&depth=2&limit=1000`,
    `${base}?path=a&depth=2&limit=1000&cursor=n`,
    `${base}/a/b.txt`,
    `${base}/a/b.txt/history?limit=1000`,
    `${base}/a/b.txt/at/3`,
  ]);
  expect(hurry.limits).toEqual([15_000, 15_000, 15_000, 15_000, 15_000]);
});

test.each([
  ["a b/ü.txt", "a%20b/%C3%BC.txt"],
  ["docs/history", "docs%2Fhistory"],
  ["at/3", "at%2F3"],
  ["a/../b", "a%2F..%2Fb"],
])("the path %s is asked for as %s", (path, expected) => {
  expect(filePath(path)).toBe(expected);
});

test("a fork is repeated with the same Idempotency-Key, a rewind is asked for once", async () => {
  gateway.answers = [problem("coordinator_unreachable"), Response.json({ agent_id: "you" }), problem("coordinator_unreachable")];
  expect(await podium.agents.fork("me", { at: 7, agentId: "you" })).toMatchObject({ agent_id: "you" });
  expect(await failure(podium.agents.rewind("me", "turn-x", { cancel: true }))).toMatchObject({ operation: "rewind", retryable: true });
  const fork = { method: "POST", path: "/api/v1/agents/me/fork", body: '{"at":7,"agent_id":"you"}' };
  const rewind = { method: "POST", path: "/api/v1/agents/me/rewind?cancel=true", body: '{"at":"turn-x"}' };
  expect(gateway.seen).toMatchObject([fork, fork, rewind]);
  const [first, second] = gateway.seen.map((seen) => seen.headers.get("idempotency-key"));
  expect(first).toMatch(/^[0-9a-f]{32}$/);
  expect(second).toBe(first!);
});

test("lists are read to their end, or to the limit", async () => {
  const pages = [{ items: [INSTANCE, INSTANCE], next_cursor: "n" }, { items: [INSTANCE], next_cursor: null }];
  gateway.answers = pages.map((page) => Response.json(page));
  const found = [];
  for await (const item of podium.instances.list({ status: "ready", agentType: "echo" })) found.push(item);
  expect(found).toHaveLength(3);
  gateway.answers = [Response.json(pages[0])];
  for await (const item of podium.agents.list({ limit: 2 })) found.push(item);
  expect(gateway.seen.map((seen) => seen.path)).toEqual([
    "/api/v1/instances?status=ready&agent_type=echo&limit=1000",
    "/api/v1/instances?status=ready&agent_type=echo&limit=1000&cursor=n",
    "/api/v1/agents?limit=2",
  ]);
});

test("an upload is a form with the bundle in it, and is repeated after a failure", async () => {
  const forms: unknown[] = [];
  const made = { deployment_id: "echo:1.0.0@12345678", agent_type: "echo", version: "1.0.0" };
  gateway.answers = [problem("registry_unavailable"), Response.json(made, { status: 201 })];
  expect(await podium.deployments.upload(new Blob(["x".repeat(300_000)]), "echo", "1.0.0")).toMatchObject(made);
  for (const seen of gateway.seen) {
    const form = await new Response(seen.body, { headers: { "content-type": seen.headers.get("content-type")! } }).formData();
    forms.push([form.get("agent_type"), form.get("version"), (form.get("file") as File).size]);
  }
  expect(forms).toEqual(Array(2).fill(["echo", "1.0.0", 300_000]));
});

test("what was written must not be written twice, and keeps its condition", async () => {
  gateway.answers = [problem("workspace_unavailable")];
  expect(await failure(podium.files.write(ID, "a.txt", "hi", { ifHash: "abc" }))).toMatchObject({ code: "workspace_unavailable" });
  expect(gateway.seen).toHaveLength(1);
  expect(gateway.seen[0]!.body).toBe("hi");
  expect(gateway.seen[0]!.headers.get("if-match")).toBe('"abc"');
});

test("followed logs come as records, in whatever pieces they arrive", async () => {
  const record = { id: 1, ts: 2, level: "info", message: "hi", module: "m", source: "agent" };
  const bytes = new TextEncoder().encode(`: ping\n\nid: 1\r\ndata: ${JSON.stringify(record)}\r\n\r\ndata: {"id":2}\n\n`);
  const pieces = (): ReadableStream =>
    new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 7) controller.enqueue(bytes.slice(at, at + 7));
        controller.close();
      },
    });
  gateway.answers = [() => new Response(pieces(), { headers: { "content-type": "text/event-stream" } })];
  const records = [];
  for await (const each of podium.instances.followLogs(ID, { level: "info" })) records.push(each.id);
  expect(records).toEqual([1, 2]);
  expect(gateway.seen[0]!.path).toBe(`/api/v1/instances/${ID}/logs?level=info&follow=true`);
});

describe("a streamed answer", () => {
  const endless = (): Response =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("beginning")),
      }),
    );

  test("ends with the reason of its signal", async () => {
    gateway.answers = [endless];
    const stop = new AbortController();
    const reader = (await podium.files.stream(ID, "a.txt", { signal: stop.signal })).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("beginning");
    const rest = failure(reader.read());
    stop.abort("enough");
    expect(await rest).toBe("enough");
  });

  test("is given up after 75 s of silence", async () => {
    gateway.answers = [endless];
    const timing = { ...hurry, now: () => 0, chance: () => 0, after: (ms: number, act: () => void) => systemTiming.after(ms / 1_500, act) };
    const hasty = new PodiumClient({ url: gateway.url, timing });
    const reader = (await hasty.files.stream(ID, "a.txt")).getReader();
    await reader.read();
    expect(await failure(reader.read())).toMatchObject({ code: "unreachable", instanceId: ID, retryable: true });
  });

  test("that breaks is the one error too", async () => {
    const broken = (): ReadableStream => new ReadableStream({ pull: (controller) => controller.error(new Error("broken")) });
    gateway.answers = [new Response("")];
    const client = new PodiumClient({ url: gateway.url, fetch: async () => new Response(broken()) });
    const reader = (await client.files.stream(ID, "a.txt", { at: 3 })).getReader();
    expect(await failure(reader.read())).toMatchObject({ code: "unreachable", operation: "readFile", detail: `${gateway.url}: broken` });
    await client.close();
  });
});

describe("failures", () => {
  test("an answer that is no JSON is an error of the server", async () => {
    gateway.answers = [new Response("<html>")];
    expect(await failure(podium.config.get())).toMatchObject({ code: "internal", detail: "the answer can't be read" });
  });

  test("an answer of something in between is judged by its status", async () => {
    gateway.answers = [new Response("<html>Bad gateway</html>", { status: 502 })];
    expect(await failure(podium.config.get())).toMatchObject({ code: "unreachable", status: 502, retryable: true });
    expect(gateway.seen).toHaveLength(4);
  });

  test("Retry-After is honoured, and a long one fails now", async () => {
    gateway.answers = [problem("rate_limited", {}, { "retry-after": "2" }), problem("rate_limited", {}, { "retry-after": "60" })];
    expect(await failure(podium.config.get())).toMatchObject({ code: "rate_limited", retryAfterMs: 60_000 });
    expect([gateway.seen.length, hurry.waits]).toEqual([2, [2_000]]);
  });

  test("a redirect is not followed: the key stays here", async () => {
    const other = new StubGateway();
    other.answers = [Response.json({})];
    gateway.answers = [Response.redirect(`${other.url}/api/v1/config`, 307)];
    expect(await failure(podium.config.get())).toBeInstanceOf(PodiumConnectionError);
    expect(other.seen).toHaveLength(0);
    await other.stop();
  });

  test("no answer within the limit is one that may be retried", async () => {
    gateway.answers = [() => new Promise<Response>(() => undefined)];
    const timing = { now: () => 0, chance: () => 0, after: (_: number, act: () => void) => (setTimeout(act, 5), () => undefined) };
    const hasty = new PodiumClient({ url: gateway.url, timing });
    expect(await failure(hasty.config.get())).toMatchObject({ code: "unreachable", detail: `${gateway.url}: no answer within 30 s` });
  });

  test("an abort gives its reason; a closed client refuses", async () => {
    gateway.answers = [() => new Promise<Response>(() => undefined)];
    const stop = new AbortController();
    const asking = failure(podium.config.get({ signal: stop.signal }));
    stop.abort("enough");
    expect(await asking).toBe("enough");
    const other = failure(podium.config.get());
    await podium.close();
    expect(await other).toMatchObject({ detail: "the client was closed", retryable: false });
    expect(await failure(podium.connect(ID))).toMatchObject({ detail: "the client was closed" });
  });
});

describe("settings", () => {
  test("come from the environment; what is given wins", () => {
    const environment = { PODIUM_URL: "https://podium.example/", PODIUM_API_KEY: "pod_a" };
    expect(readSettings({}, environment)).toEqual({ url: "https://podium.example", apiKey: "pod_a", tenant: undefined });
    expect(readSettings({ url: "http://x/p//", apiKey: "b", tenant: "t" }, environment)).toEqual({ url: "http://x/p", apiKey: "b", tenant: "t" });
    expect(readSettings({}, {}).url).toBe("http://127.0.0.1:8090");
    expect(() => readSettings({ url: "ftp://x" }, {})).toThrow(TypeError);
  });

  test("an admin key acts for a tenant", async () => {
    gateway.answers = [Response.json({ config: {}, version: 1 })];
    await new PodiumClient({ url: gateway.url, apiKey: "pod_admin_x", tenant: "acme" }).config.get();
    expect(gateway.seen[0]!.headers.get("podium-tenant")).toBe("acme");
  });
});
