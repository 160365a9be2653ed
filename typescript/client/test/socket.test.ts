import { afterEach, expect, test } from "bun:test";
import type { Server, ServerWebSocket } from "bun";
import { PodiumClient, systemTiming, textOf } from "../src/index.ts";
import type { WebSocketClass } from "../src/stream/socket.ts";
import { failure } from "./fake_server.ts";

const ID = "inst-aaaaaaaaaaaaaaaa";
const KEY = "pod_abcdefghijkl_secret";

type Socket = ServerWebSocket<{ after: string | null }>;

let server: Server<{ after: string | null }> | undefined;
let podium: PodiumClient | undefined;

afterEach(async () => {
  await podium?.close();
  await server?.stop(true);
});

/** A real server of WebSockets; `opened` is what it does with each. */
function serve(opened: (socket: Socket) => void): { asked: { url: string; protocols: string | null }[] } {
  const asked: { url: string; protocols: string | null }[] = [];
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, self) {
      asked.push({ url: request.url, protocols: request.headers.get("sec-websocket-protocol") });
      const after = new URL(request.url).searchParams.get("after");
      const upgraded = self.upgrade(request, { data: { after }, headers: { "Sec-WebSocket-Protocol": "podium.v1" } });
      return upgraded ? undefined : new Response(null, { status: 400 });
    },
    websocket: {
      open(socket: Socket) {
        const content = { protocol: 1, instance_id: ID, agent_id: "a", deployment_id: "d", status: "ready", last_seq: 0 };
        socket.send(JSON.stringify({ messageType: "connected", content }));
        opened(socket);
      },
      message: () => undefined,
    },
  });
  podium = new PodiumClient({ url: `http://127.0.0.1:${server.port}`, apiKey: KEY });
  return { asked };
}

test("a stream over real sockets resumes, and the key is a subprotocol, never in the address", async () => {
  const { asked } = serve((socket) => {
    const after = Number(socket.data.after);
    for (const seq of [after + 1, after + 2]) {
      socket.send(JSON.stringify({ messageType: "stream_update", content: { text: `${seq}` }, seq }));
    }
    socket.close(after >= 4 ? 4409 : 1012, "over");
  });
  const stream = await podium!.connect(ID, { after: 0 });
  const texts: string[] = [];
  const reading = (async () => {
    for await (const event of stream.events) texts.push(textOf(event));
  })();
  expect(await failure(reading)).toMatchObject({ code: "instance_stopping", detail: "the instance was stopped: over" });
  expect(texts).toEqual(["1", "2", "3", "4", "5", "6"]);
  expect(asked.map(({ url }) => new URL(url).search)).toEqual(["?after=0", "?after=2", "?after=4"]);
  expect(asked[0]!.protocols).toBe(`podium.v1, podium.bearer.${KEY}`);
  expect(asked.every(({ url }) => !url.includes(KEY))).toBe(true);
});

test("a socket that breaks without a word is replaced", async () => {
  let sockets = 0;
  serve((socket) => {
    sockets += 1;
    socket.send(JSON.stringify({ messageType: "stream_update", content: {}, seq: sockets }));
    if (sockets === 1) socket.terminate();
  });
  const stream = await podium!.connect(ID, { after: 0 });
  const seen = [(await stream.events.next()).value?.seq, (await stream.events.next()).value?.seq];
  expect([seen, stream.reconnects]).toEqual([[1, 2], 1]);
});

test("a key that can't be one is refused without being repeated", async () => {
  serve(() => undefined);
  const strange = new PodiumClient({ url: podium!.settings.url, apiKey: "secret, key" });
  const error = await failure(strange.connect(ID));
  expect(error).toMatchObject({ code: "unauthenticated" });
  expect(JSON.stringify([error, error.message, String(error.cause)])).not.toContain("secret");
});

test("a class of WebSockets can be given", async () => {
  serve((socket) => socket.send(JSON.stringify({ messageType: "stream_update", seq: 1 })));
  const made: string[] = [];
  class Told extends WebSocket {
    constructor(url: string, protocols?: string[]) {
      super(url, protocols);
      made.push(url);
    }
  }
  const given = new PodiumClient({ url: podium!.settings.url, apiKey: KEY, WebSocket: Told });
  const stream = await given.connect(ID, { after: 0 });
  expect((await stream.events.next()).value?.seq).toBe(1);
  expect(made).toEqual([`ws://127.0.0.1:${server!.port}/api/v1/instances/${ID}/connect?after=0`]);
  await given.close();
});

test("a runtime without WebSocket says what to do", async () => {
  const host = globalThis as { WebSocket?: unknown };
  const known = host.WebSocket;
  host.WebSocket = undefined;
  try {
    const error = await failure(new PodiumClient({ apiKey: KEY }).connect(ID));
    expect(error).toMatchObject({ code: "invalid_request", retryable: false });
    expect(error.message).toContain("--experimental-websocket");
  } finally {
    host.WebSocket = known;
  }
});

test("a socket that can't be opened is an end, also where no close event says so", async () => {
  class Mute {
    readonly readyState = 0;
    readonly bufferedAmount = 0;
    onopen = null;
    onmessage = null;
    onclose = null;
    onerror: (() => void) | null = null;
    constructor() {
      tries += 1;
      setTimeout(() => this.onerror?.(), 0);
    }
    send(): void {}
    close(): void {}
  }
  let tries = 0;
  const timing = { now: () => 0, chance: () => 0, after: systemTiming.after };
  const client = new PodiumClient({ apiKey: KEY, timing, WebSocket: Mute as unknown as WebSocketClass });
  const error = await failure(client.connect(ID));
  expect(error).toMatchObject({ code: "unreachable", detail: "the connection was lost: the socket could not be opened" });
  expect(tries).toBe(4);
});

test("a peer that never answers the goodbye is left after two seconds", async () => {
  class Deaf {
    readonly readyState = 1;
    readonly bufferedAmount = 0;
    onopen = null;
    onmessage: ((message: { data: string }) => void) | null = null;
    onclose = null;
    onerror = null;
    isTerminated = false;
    constructor() {
      made.push(this);
      const content = { protocol: 1, last_seq: 0 };
      setTimeout(() => this.onmessage?.({ data: JSON.stringify({ messageType: "connected", content }) }), 0);
    }
    send(): void {}
    close(): void {}
    terminate(): void {
      this.isTerminated = true;
    }
  }
  const made: Deaf[] = [];
  const client = new PodiumClient({ apiKey: KEY, WebSocket: Deaf as unknown as WebSocketClass });
  const stream = await client.connect(ID);
  const began = performance.now();
  await stream.close();
  expect(performance.now() - began).toBeWithin(1_900, 3_000);
  expect(made[0]!.isTerminated).toBe(true);
});
