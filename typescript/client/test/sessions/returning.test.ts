import { expect, test } from "bun:test";
import { SessionClient } from "../../src/sessions/index.ts";
import { onReturn } from "../../src/sessions/returning.ts";
import { settle } from "../virtual_time.ts";
import { FakeServer } from "./fake_server.ts";

/** A page that can be looked away from. */
class FakePage extends EventTarget {
  readonly document = Object.assign(new EventTarget(), { visibilityState: "visible" });

  look(state: "visible" | "hidden"): void {
    this.document.visibilityState = state;
    this.document.dispatchEvent(new Event("visibilitychange"));
  }
}

test("who comes back to a page, or gets the network back, is noticed until that is ended", () => {
  const page = new FakePage();
  let count = 0;
  const stop = onReturn(() => (count += 1), page);
  page.dispatchEvent(new Event("online"));
  page.look("hidden");
  page.look("visible");
  expect(count).toBe(2);
  stop();
  page.dispatchEvent(new Event("online"));
  page.look("visible");
  expect(count).toBe(2);
});

test("outside of a page there is nothing to notice", () => {
  const stop = onReturn(() => expect.unreachable(), {});
  stop();
});

test("a try that waits for its time is made when somebody comes back", async () => {
  const page = new FakePage();
  const server = new FakeServer();
  server.prepare = (socket) => socket.end();
  const globals = globalThis as { document?: unknown };
  globals.document = page.document;
  const client: SessionClient = server.client();
  try {
    const connecting = client.connect();
    await server.time.pass(20_000);
    const tries = server.sockets.length;
    server.prepare = (socket) => server.letIn(socket);
    page.look("visible");
    await settle();
    expect(server.sockets.length).toBe(tries + 1);
    await connecting;
  } finally {
    delete globals.document;
    await client.close();
  }
  expect(server.time.pending).toBe(0);
});
