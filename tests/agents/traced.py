"""Does a little of everything that shows in a trace, and a span of its own with OpenTelemetry, as its author would."""

import os
import sys
from typing import Any

from podium.agent import AgentContext, BaseAgent


class Agent(BaseAgent):
    async def on_init(self, ctx: AgentContext) -> None:
        sys.path.append(os.environ["PACKAGES"])  # for its requirements.txt
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        exporter = OTLPSpanExporter(os.environ["COLLECTOR"] + "/v1/traces")
        provider = TracerProvider(resource=Resource.create({"service.name": "agent"}), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        self.tracer = trace.get_tracer("agent")
        self.born_under = ctx.traceparent

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        with self.tracer.start_as_current_span("think"):
            async with ctx.tool_call("search", {"q": "x"}) as call:
                call.result = "found"
        ctx.usage("some-model", provider="someone", input_tokens=10, output_tokens=3, cost_micro_dollars=7)
        seen = await ctx.run_command("printf %s $TRACEPARENT")
        reply = await ctx.send_message()
        await reply.stream_token(f"{self.born_under} {ctx.traceparent} {seen.output}", final=True)
