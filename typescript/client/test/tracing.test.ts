import { afterEach, expect, test } from "bun:test";

import { carried } from "../src/tracing.ts";

const API = Symbol.for("opentelemetry.js.api.1");
const TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

afterEach(() => void Reflect.deleteProperty(globalThis, API));

/** What a registered OpenTelemetry keeps under the symbol. */
function register(active: unknown): void {
  Reflect.set(globalThis, API, {
    context: { active: () => active },
    propagation: {
      inject: (context: unknown, carrier: object, setter: { set(carrier: object, key: string, value: string): void }) => {
        if (typeof context !== "string") return;
        setter.set(carrier, "traceparent", context);
        setter.set(carrier, "baggage", "a=secret");
      },
    },
  });
}

test("the active span of the program is what requests and commands carry, and nothing beside it", () => {
  register(TRACE);
  expect(carried()).toEqual({ traceparent: TRACE });
});

test("where nothing is active, or nothing registered, nothing is carried", () => {
  expect(carried()).toEqual({});
  register(undefined);
  expect(carried()).toEqual({});
});
