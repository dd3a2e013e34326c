#!/usr/bin/env node
// Emits one GenAI agent run with the stock JavaScript OpenTelemetry SDK over OTLP/HTTP as JSON.
//
//   node agent.mjs --endpoint http://HOST:PORT [--spans N]
//
// Prints `SPAN_ID NAME` for every span, and the trace id as the last line. Exits 1 unless the exporter was told that
// every span had arrived. The packages come from the cache folder (install.sh node), not from beside this file.

import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const cache = process.env.SPANSEAL_REAL_CACHE || join(homedir(), '.cache', 'spanseal-real');
const require = createRequire(join(cache, 'node', 'package.json'));
const { SpanKind, SpanStatusCode } = require('@opentelemetry/api');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-http');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchSpanProcessor, NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');

const CONVERSATION = 'conv-9b27e3';
const MODEL = 'example-model-1';

/** Emits the run, prints its ids and returns the exit code. */
async function main() {
  const { endpoint, spans: count } = parseOptions();
  const witness = new Witness(new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }));
  const provider = makeProvider(witness, count);
  provider.register();
  const spans = runAgent(provider.getTracer('ticket-agent', '1.4.2'), count);
  await provider.shutdown().catch((error) => console.error(`agent.mjs: ${error.message}`));

  for (const span of spans) console.log(`${span.spanContext().spanId} ${span.name}`);
  console.log(spans[0].spanContext().traceId);
  if (witness.exported === count) return 0;
  console.error(`agent.mjs: ${witness.exported} of ${count} spans exported`);
  return 1;
}

/** Returns the command line's options. */
function parseOptions() {
  const { values } = parseArgs({
    options: { endpoint: { type: 'string' }, spans: { type: 'string', default: '6' } },
  });
  const spans = Number(values.spans);
  if (!values.endpoint || !Number.isInteger(spans) || spans < 3) {
    console.error('usage: agent.mjs --endpoint http://HOST:PORT [--spans N, at least 3]');
    process.exit(2);
  }
  return { endpoint: values.endpoint.replace(/\/$/, ''), spans };
}

/** Hands batches to the real exporter and counts what it says arrived: the SDK only logs a failed export. */
class Witness {
  constructor(exporter) {
    this.exporter = exporter;
    this.exported = 0;
  }

  export(spans, done) {
    this.exporter.export(spans, (result) => {
      if (result.code === 0) this.exported += spans.length;
      else console.error(`agent.mjs: ${result.error?.message}`);
      done(result);
    });
  }

  forceFlush() {
    return this.exporter.forceFlush();
  }

  shutdown() {
    return this.exporter.shutdown();
  }
}

/** Returns a tracer provider that batches; its queue holds the whole run, as the SDK drops what overflows. */
function makeProvider(exporter, count) {
  return new NodeTracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'ticket-agent-js',
      'service.namespace': 'support',
      'service.version': '1.4.2',
      'deployment.environment.name': 'test',
    }),
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: Math.max(2048, count) })],
  });
}

/** Emits `count` spans: the agent's run, and under it chat and execute_tool in turn. Returns them, the run first. */
function runAgent(tracer, count) {
  const attributes = {
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.provider.name': 'example',
    'gen_ai.agent.name': 'ticket-agent',
    'gen_ai.agent.id': 'agent-43',
    'gen_ai.conversation.id': CONVERSATION,
    'gen_ai.request.model': MODEL,
    'user.id': 'ben@example.com',
  };
  return tracer.startActiveSpan('invoke_agent ticket-agent', { attributes }, (run) => {
    const spans = [run];
    for (let turn = 1; spans.length < count; turn += 1) {
      spans.push(chat(tracer, turn));
      if (spans.length < count) spans.push(executeTool(tracer, turn, spans.at(-1)));
    }
    run.setStatus({ code: SpanStatusCode.OK });
    run.end();
    return spans;
  });
}

/** Emits one call of the model and returns its span. */
function chat(tracer, turn) {
  const attributes = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'example',
    'gen_ai.request.model': MODEL,
    'gen_ai.request.temperature': 0.2,
    'gen_ai.conversation.id': CONVERSATION,
    'server.address': 'model.example.com',
    'server.port': 443,
  };
  const span = tracer.startSpan(`chat ${MODEL}`, { kind: SpanKind.CLIENT, attributes });
  span.addEvent('first token', { turn, text: 'Grüße 🎫' });
  span.setAttribute('gen_ai.response.id', `response-${turn}`);
  span.setAttribute('gen_ai.response.finish_reasons', ['tool_calls']);
  span.setAttribute('gen_ai.usage.input_tokens', 512 + turn);
  span.setAttribute('gen_ai.usage.output_tokens', 64);
  span.end();
  return span;
}

/** Emits one tool call, linked to the chat that asked for it; it fails every third turn. Returns its span. */
function executeTool(tracer, turn, askedBy) {
  const attributes = {
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': 'update_ticket',
    'gen_ai.tool.type': 'function',
    'gen_ai.tool.call.id': `call-${turn}`,
    'gen_ai.conversation.id': CONVERSATION,
    'user.id': 'ben@example.com',
    'ticket.urgent': true,
  };
  const links = [{ context: askedBy.spanContext(), attributes: { 'link.reason': 'asked by' } }];
  const span = tracer.startSpan('execute_tool update_ticket', { attributes, links });
  span.addEvent('ticket locked', { 'ticket.id': 4711 });
  if (turn % 3 === 0) {
    span.recordException(new Error('the ticket system did not answer'));
    span.setStatus({ code: SpanStatusCode.ERROR, message: 'the ticket system did not answer' });
  }
  span.end();
  return span;
}

process.exitCode = await main();
