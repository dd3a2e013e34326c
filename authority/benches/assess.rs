//! What judging costs: a span that is no action, an action that nobody signed for, an approved action.
#![expect(clippy::unwrap_used, reason = "a benchmark ends where something is not as it should be")]

#[path = "../tests/judgement/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod fixture;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fixture::{Case, SECOND, START};
use spanseal_authority::{Attributes, Authority, Observed};
use spanseal_schemas::event::Verdict;
use spanseal_schemas::scan::AnyValue;

/// The attributes of a chat span, as instrumentations send them.
const CHAT: [(&str, AnyValue<'static>); 20] = [
    ("gen_ai.operation.name", AnyValue::String("chat")),
    ("gen_ai.provider.name", AnyValue::String("openai")),
    ("gen_ai.request.model", AnyValue::String("gpt-5")),
    ("gen_ai.response.model", AnyValue::String("gpt-5-2026-08-07")),
    ("gen_ai.response.id", AnyValue::String("chatcmpl-9J3uIL87gldCFtiIbyaOvTeYBRA3l")),
    ("gen_ai.response.finish_reasons", AnyValue::String("stop")),
    ("gen_ai.request.temperature", AnyValue::Double(0.2)),
    ("gen_ai.request.max_tokens", AnyValue::Int(1024)),
    ("gen_ai.usage.input_tokens", AnyValue::Int(812)),
    ("gen_ai.usage.output_tokens", AnyValue::Int(193)),
    ("gen_ai.conversation.id", AnyValue::String("conv_5j66UpCpwteGg4YSxUnt7lPY")),
    ("gen_ai.input.messages", AnyValue::String("[{\"role\":\"user\"}]")),
    ("gen_ai.output.messages", AnyValue::String("[{\"role\":\"assistant\"}]")),
    ("server.address", AnyValue::String("api.openai.com")),
    ("server.port", AnyValue::Int(443)),
    ("session.id", AnyValue::String("s-17")),
    ("thread.id", AnyValue::Int(3)),
    ("code.file.path", AnyValue::String("src/agent.rs")),
    ("code.line.number", AnyValue::Int(211)),
    ("http.response.status_code", AnyValue::Int(200)),
];

fn assess(criterion: &mut Criterion) {
    let authority = Authority::new(&fixture::config(), "acme.example/agents").unwrap();
    let judged = |attributes: &[(&'static str, AnyValue<'static>)], token: Option<&str>| {
        let mut wanted = Attributes::new();
        for (key, value) in black_box(attributes) {
            if authority.wants(key.as_bytes()) {
                wanted.push(key, value.clone());
            }
        }
        if let Some(token) = token {
            wanted.push("provenance.claims", AnyValue::String(token));
        }
        authority.assess(&Observed {
            received_unix_nano: (START + 5) * SECOND,
            trace_id: &[5; 16],
            span_id: &[6; 8],
            parent_span_id: &[7; 8],
            start_unix_nano: START * SECOND,
            end_unix_nano: (START + 2) * SECOND,
            service: "deploy-agent",
            attributes: &wanted,
            ..Observed::default()
        })
    };
    let tool = [("gen_ai.operation.name", AnyValue::String("execute_tool"))];
    let approved = Case::approved().claims_token();
    let unapproved = Case { approval: None, ..Case::approved() }.claims_token();
    for (name, attributes, token, verdict) in [
        ("no action, 20 attributes", &CHAT[..], None, Verdict::NoAction),
        ("action, unsigned", &tool[..], None, Verdict::Unproven),
        ("action, signed", &tool[..], Some(&*unapproved), Verdict::Unproven),
        ("action, signed and approved", &tool[..], Some(&*approved), Verdict::Proven),
    ] {
        assert_eq!(judged(attributes, token).verdict, verdict, "{name}");
        criterion.bench_function(name, |bencher| bencher.iter(|| judged(attributes, token)));
    }
}

criterion_group!(benches, assess);
criterion_main!(benches);
