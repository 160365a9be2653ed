/** Does a little of everything that shows in a trace, and sends a span of its own. */

import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

export default class Agent extends BaseAgent {
  #bornUnder = "";

  override async onInit(ctx: AgentContext): Promise<void> {
    this.#bornUnder = ctx.traceparent;
  }

  override async onMessage(ctx: AgentContext, _input: AgentInput): Promise<void> {
    await send(ctx.traceparent, "think");
    await ctx.toolCall("search", { q: "x" }, () => "found");
    ctx.usage("some-model", { provider: "someone", inputTokens: 10, outputTokens: 3, costMicroDollars: 7 });
    const seen = await ctx.runCommand("printf %s $TRACEPARENT");
    const reply = await ctx.sendMessage();
    await reply.streamToken(`${this.#bornUnder} ${ctx.traceparent} ${seen.output}`, { final: true });
  }
}

/** One span below `traceparent`, as OTLP in JSON: what a package would do, without the package. */
async function send(traceparent: string, name: string): Promise<void> {
  const [, traceId, parentSpanId] = traceparent.split("-");
  const now = `${Date.now()}000000`;
  const span = { traceId, spanId: "00f067aa0ba902b7", parentSpanId, name, kind: 1, startTimeUnixNano: now, endTimeUnixNano: now };
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "agent" } }] };
  await fetch(`${process.env["COLLECTOR"]}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] }),
  });
}
