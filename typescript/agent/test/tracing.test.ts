import { AsyncLocalStorage } from "node:async_hooks";

import { afterEach, expect, test } from "bun:test";

import { TRACE_VARIABLE, underTrace } from "../src/tracing.ts";

const API = Symbol.for("opentelemetry.js.api.1");
const GIVEN = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
const before = process.env[TRACE_VARIABLE];

afterEach(() => {
  Reflect.deleteProperty(globalThis, API);
  if (before === undefined) delete process.env[TRACE_VARIABLE];
  else process.env[TRACE_VARIABLE] = before;
});

/** What a registered OpenTelemetry keeps under the symbol: a context manager over async storage, and the W3C propagator. */
function register(): () => unknown {
  const storage = new AsyncLocalStorage<unknown>();
  Reflect.set(globalThis, API, {
    context: {
      active: () => storage.getStore() ?? "root",
      with: <T>(context: unknown, work: () => T): T => storage.run(context, work),
    },
    propagation: {
      extract: (context: unknown, carrier: Record<string, string>, getter: { get(of: unknown, key: string): unknown }) =>
        `${String(context)} < ${String(getter.get(carrier, "traceparent"))}`,
    },
  });
  return () => storage.getStore();
}

test("what OpenTelemetry has registered goes on with the trace of the turn, over awaits, and only in it", async () => {
  const active = register();
  const seen = await underTrace(GIVEN, async () => {
    await Promise.resolve();
    return active();
  });
  expect(seen).toBe(`root < ${GIVEN}`);
  expect(active()).toBeUndefined();
});

test("programs find the trace in the environment, also where nothing is registered", () => {
  expect(underTrace(GIVEN, () => process.env[TRACE_VARIABLE])).toBe(GIVEN);
});

test("a turn without a trace changes nothing", () => {
  const active = register();
  expect(underTrace("", () => [active(), process.env[TRACE_VARIABLE]])).toEqual([undefined, before]);
});
