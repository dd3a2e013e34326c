//! Spans made with nothing but `tracing`.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use spanseal::Actor;
use spanseal_authority::Reason;
use spanseal_schemas::event::{Claim, Grade, Verdict};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::sink::*;

#[tokio::test]
async fn fields_flow_unchanged_and_only_actions_are_added_to() {
    let rig = Rig::start().await;
    tracing::info_span!(
        "chat",
        otel.name = "chat gpt-5",
        gen_ai.operation.name = "chat",
        gen_ai.request.model = "gpt-5",
        gen_ai.usage.input_tokens = 7_i64,
        user.id = "alice@acme.example"
    )
    .in_scope(|| tracing::info!("streaming"));
    let spans = rig.spans().await;
    let chat = spans.named("chat gpt-5");
    let keys: Vec<_> = chat.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(keys, ["gen_ai.operation.name", "gen_ai.request.model", "gen_ai.usage.input_tokens", "user.id"]);
    assert_eq!(values(chat, "gen_ai.usage.input_tokens"), ["7"]);
    assert_eq!(chat.events[0].name, "streaming");
    assert_eq!(judge(chat).verdict, Verdict::NoAction);
}

#[tokio::test]
async fn every_kind_of_action_says_who_acted_and_that_nobody_decided() {
    let rig = Rig::start().await;
    tracing::info_span!("execute_tool search", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "search")
        .in_scope(|| ());
    tracing::info_span!("invoke_agent deployer", gen_ai.operation.name = "invoke_agent").in_scope(|| ());
    tracing::info_span!("tools/call", mcp.method.name = "tools/call").in_scope(|| ());
    let spans = rig.spans().await;
    for name in ["execute_tool search", "invoke_agent deployer", "tools/call"] {
        let found = spans.judged(name);
        assert_eq!(
            (found.verdict, &*found.reasons),
            (Verdict::Unproven, &[Reason::NotEvaluated, Reason::ApprovalAbsent][..]),
            "{name}"
        );
        assert_eq!(found.grade(Claim::Actor), Grade::Verified, "{name}");
    }
    let claims = spans.judged("execute_tool search").claims.unwrap();
    assert_eq!((claims.action.kind.as_str(), claims.action.tool.as_deref()), ("execute_tool", Some("search")));
    assert_eq!(values(spans.named("execute_tool search"), "provenance.policy.decision"), ["not_evaluated"]);
}

#[tokio::test]
async fn a_tool_named_after_the_span_began_is_the_one_that_counts() {
    let rig = Rig::start().await;
    let span = tracing::info_span!(
        "execute_tool",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = tracing::field::Empty
    );
    span.in_scope(|| ());
    span.record("gen_ai.tool.name", "update_ticket");
    span.set_attribute("gen_ai.tool.name", "close_ticket");
    drop(span);
    let spans = rig.spans().await;
    let found = spans.judged("execute_tool");
    assert_eq!(found.claims.unwrap().action.tool.as_deref(), Some("close_ticket"));
    assert_eq!(values(spans.named("execute_tool"), "gen_ai.tool.name"), ["close_ticket"]);
    assert_ne!(found.verdict, Verdict::Violated);
}

#[tokio::test]
async fn the_actor_in_scope_is_the_one_that_acted() {
    let rig = Rig::start().await;
    let act = |name: &'static str| async move {
        tracing::info_span!("act", otel.name = name, gen_ai.operation.name = "execute_tool").in_scope(|| ());
    };
    act("before").await;
    let sub = agent().delegate(Actor::agent(SUB_AGENT).key(sub_agent_key()));
    assert_eq!(Actor::current().map(|actor| actor.id().to_owned()), None);
    sub.scope(async {
        assert_eq!(Actor::current().unwrap().id(), SUB_AGENT);
        act("inside").await;
    })
    .await;
    act("after").await;
    let spans = rig.spans().await;
    for (name, actor) in [("before", AGENT), ("inside", SUB_AGENT), ("after", AGENT)] {
        let found = spans.judged(name);
        assert_eq!((found.grade(Claim::Actor), found.claims.unwrap().actor.id.as_str()), (Grade::Verified, actor));
    }
}

#[tokio::test]
async fn actions_are_recorded_at_any_level_and_noise_is_not() {
    let rig = Rig::start().await;
    tracing::trace_span!("quiet tool", gen_ai.operation.name = "execute_tool").in_scope(|| ());
    tracing::debug_span!("noise").in_scope(|| ());
    tracing::info_span!(target: "h2::codec", "transport").in_scope(|| ());
    tracing::info_span!(target: "h2o", "no transport").in_scope(|| ());
    let names: Vec<_> = rig.spans().await.0.into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["quiet tool", "no transport"]);
}

#[tokio::test]
async fn a_caller_that_does_not_sample_cannot_switch_recording_off() {
    let rig = Rig::start().await;
    let remote = SpanContext::new(
        TraceId::from(1_u128),
        SpanId::from(1_u64),
        TraceFlags::default(),
        true,
        TraceState::default(),
    );
    let span = tracing::info_span!("execute_tool", gen_ai.operation.name = "execute_tool");
    span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote)).unwrap();
    span.in_scope(|| ());
    drop(span);
    let spans = rig.spans().await;
    assert_eq!(spans.named("execute_tool").trace_id, 1_u128.to_be_bytes());
    assert_eq!(spans.judged("execute_tool").grade(Claim::Lineage), Grade::Asserted);
}
