#!/usr/bin/env python3
"""Emits one GenAI agent run with the stock Python OpenTelemetry SDK, as an agent in production would.

Run it with the Python of the cache's venv (install.sh python). Prints `SPAN_ID NAME` for every span, and the trace id
as the last line. Exits 1 unless the exporter was told that every span had arrived.
"""

import argparse
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

CONVERSATION = "conv-5f0c1a"
MODEL = "example-model-1"


def main():
    """Emits the run, prints its ids and returns the exit code."""
    options = parse_options()
    witness = Witness(make_exporter(options))
    provider = make_provider(witness, options.spans)
    spans = run_agent(provider.get_tracer("ticket-agent", "1.4.2"), options.spans, options.attribute)
    provider.shutdown()

    for span in spans:
        print(f"{span.context.span_id:016x} {span.name}")
    print(f"{spans[0].context.trace_id:032x}")
    if witness.exported != options.spans:
        print(f"agent.py: {witness.exported} of {options.spans} spans exported", file=sys.stderr)
        return 1
    return 0


def parse_options():
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=["grpc", "http"], required=True, help="http means protobuf over HTTP")
    parser.add_argument("--endpoint", required=True, help="http://HOST:PORT, without a path")
    parser.add_argument("--spans", type=int, default=6, help="how many spans the run has, at least 3")
    parser.add_argument("--timeout", type=float, default=10, help="seconds for one export with its retries")
    parser.add_argument(
        "--attribute", action="append", default=[], metavar="KEY=VALUE", help="set on the first execute_tool span"
    )
    options = parser.parse_args()
    if options.spans < 3:
        parser.error("--spans must be at least 3: the run, a chat and a tool call")
    return options


class Witness(SpanExporter):
    """Hands batches to the real exporter and counts what it says arrived: the SDK only logs a failed export."""

    def __init__(self, exporter):
        self.exporter = exporter
        self.exported = 0

    def export(self, spans):
        """Exports one batch and counts its spans if the exporter reports success."""
        result = self.exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.exported += len(spans)
        return result

    def shutdown(self):
        """Closes the real exporter."""
        self.exporter.shutdown()

    def force_flush(self, timeout_millis=30_000):
        """Flushes the real exporter."""
        return self.exporter.force_flush(timeout_millis)


def make_exporter(options):
    """Returns the SDK's own OTLP exporter; OTEL_EXPORTER_OTLP_COMPRESSION and its like are obeyed."""
    endpoint = options.endpoint.rstrip("/")
    if options.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=endpoint, insecure=True, timeout=options.timeout)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=options.timeout)


def make_provider(exporter, spans):
    """Returns a tracer provider that batches; its queue holds the whole run, as the SDK drops what overflows."""
    resource = Resource.create(
        {
            "service.name": "ticket-agent",
            "service.namespace": "support",
            "service.version": "1.4.2",
            "service.instance.id": "ticket-agent-7d9f",
            "deployment.environment.name": "test",
        }
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=max(2048, spans)))
    return provider


def run_agent(tracer, count, extra):
    """Emits `count` spans: the agent's run, and under it chat and execute_tool in turn. Returns them, the run first."""
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "example",
        "gen_ai.agent.name": "ticket-agent",
        "gen_ai.agent.id": "agent-42",
        "gen_ai.conversation.id": CONVERSATION,
        "gen_ai.request.model": MODEL,
        "user.id": "anna@example.com",
    }
    with tracer.start_as_current_span("invoke_agent ticket-agent", attributes=attributes) as run:
        spans = [run]
        while len(spans) < count:
            turn = (len(spans) + 1) // 2
            spans.append(chat(tracer, turn))
            if len(spans) < count:
                spans.append(execute_tool(tracer, turn, spans[-1], extra if turn == 1 else []))
        run.set_status(Status(StatusCode.OK))
    return spans


def chat(tracer, turn):
    """Emits one call of the model and returns its span."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "example",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.conversation.id": CONVERSATION,
        "server.address": "model.example.com",
        "server.port": 443,
    }
    with tracer.start_as_current_span(f"chat {MODEL}", kind=SpanKind.CLIENT, attributes=attributes) as span:
        span.add_event("first token", {"turn": turn, "text": "Grüße 🎫"})
        span.set_attribute("gen_ai.response.id", f"response-{turn}")
        span.set_attribute("gen_ai.response.finish_reasons", ["tool_calls"])
        span.set_attribute("gen_ai.usage.input_tokens", 512 + turn)
        span.set_attribute("gen_ai.usage.output_tokens", 64)
    return span


def execute_tool(tracer, turn, asked_by, extra):
    """Emits one tool call, linked to the chat that asked for it; it fails every third turn. Returns its span."""
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "update_ticket",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": f"call-{turn}",
        "gen_ai.conversation.id": CONVERSATION,
        "user.id": "anna@example.com",
        "ticket.urgent": True,
    }
    attributes.update(pair.split("=", 1) for pair in extra)
    links = [Link(asked_by.get_span_context(), {"link.reason": "asked by"})]
    with tracer.start_as_current_span("execute_tool update_ticket", attributes=attributes, links=links) as span:
        span.add_event("ticket locked", {"ticket.id": 4711})
        if turn % 3 == 0:
            span.record_exception(TimeoutError("the ticket system did not answer"))
            span.set_status(Status(StatusCode.ERROR, "the ticket system did not answer"))
    return span


if __name__ == "__main__":
    sys.exit(main())
