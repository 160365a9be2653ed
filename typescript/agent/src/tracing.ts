/** The trace of a turn, handed on to whatever the author uses: the programs it starts, and OpenTelemetry. */

/** The environment variable programs find the trace context in. */
export const TRACE_VARIABLE = "TRACEPARENT";

/** Where `@opentelemetry/api` keeps what was registered with it, whichever copy of the package that was (since 1.0). */
const API = Symbol.for("opentelemetry.js.api.1");

/** The parts of it that are needed here: the context manager and the propagator in force. */
interface Registered {
  readonly context?: {
    active(): unknown;
    with<T>(context: unknown, work: () => T): T;
  };
  readonly propagation?: {
    extract(context: unknown, carrier: Carrier, getter: { get(carrier: Carrier, key: string): string | undefined; keys(carrier: Carrier): string[] }): unknown;
  };
}

type Carrier = Readonly<Record<string, string>>;

const GETTER = {
  get: (carrier: Carrier, key: string): string | undefined => carrier[key],
  keys: (carrier: Carrier): string[] => Object.keys(carrier),
};

/**
 * Does `work` under a trace context; nothing changes when it is empty.
 *
 * OpenTelemetry is not loaded for it: an author who uses it has. A process runs one turn at a time, so that the variable is
 * the turn's.
 */
export function underTrace<T>(traceparent: string, work: () => T): T {
  if (traceparent === "") return work();
  process.env[TRACE_VARIABLE] = traceparent;
  const { context, propagation } = ((globalThis as Record<symbol, unknown>)[API] ?? {}) as Registered;
  if (context === undefined || propagation === undefined) return work();
  return context.with(propagation.extract(context.active(), { traceparent }, GETTER), work);
}
