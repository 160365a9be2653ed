/** The trace a call belongs to, where the program uses OpenTelemetry. It is not loaded for it. */

/** Where `@opentelemetry/api` keeps what was registered with it, whichever copy of the package that was (since 1.0). */
const API = Symbol.for("opentelemetry.js.api.1");

type Carrier = Record<string, string>;

/** The parts of it that are needed here: the context manager and the propagator in force. */
interface Registered {
  readonly context?: { active(): unknown };
  readonly propagation?: {
    inject(context: unknown, carrier: Carrier, setter: { set(carrier: Carrier, key: string, value: string): void }): void;
  };
}

const SETTER = {
  set: (carrier: Carrier, key: string, value: string): void => {
    carrier[key.toLowerCase()] = value;
  },
};

/** The header that continues the trace of the running code (`traceparent`, W3C); nothing when there is none. */
export function carried(): Carrier {
  const { context, propagation } = ((globalThis as Record<symbol, unknown>)[API] ?? {}) as Registered;
  if (context === undefined || propagation === undefined) return {};
  const found: Carrier = {};
  propagation.inject(context.active(), found, SETTER);
  return found["traceparent"] === undefined ? {} : { traceparent: found["traceparent"] };
}
