//! Application code that writes what only the SDK may write.

use opentelemetry::KeyValue;
use opentelemetry::trace::TraceContextExt;
use spanseal::Refused;
use spanseal_authority::Reason;
use spanseal_schemas::event::Verdict;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::sink::*;

#[tokio::test]
async fn reserved_attributes_of_the_application_are_taken_away() {
    let rig = Rig::start().await;
    let span = tracing::info_span!(
        "execute_tool",
        gen_ai.operation.name = "execute_tool",
        provenance.actor.id = "spiffe://acme.example/agent/admin",
        provenance.policy.decision = "allow",
        provenance.claims = "forged",
        spanseal.verdict = "proven"
    );
    span.in_scope(|| ());
    span.set_attribute("provenance.approval.approver", "bob@acme.example");
    span.set_attribute("provenance.claims", "forged again");
    drop(span);
    tracing::info_span!("chat", gen_ai.operation.name = "chat", provenance.claims = "forged").in_scope(|| ());
    let spans = rig.spans().await;
    let action = spans.named("execute_tool");
    assert_eq!(values(action, "provenance.actor.id"), [AGENT]);
    assert_eq!(values(action, "provenance.policy.decision"), ["not_evaluated"]);
    assert_eq!(values(action, "provenance.claims").len(), 1);
    assert_eq!(keys(action, "spanseal."), [""; 0]);
    assert_eq!(judge(action).reasons, [Reason::NotEvaluated, Reason::ApprovalAbsent]);
    assert_eq!(keys(spans.named("chat"), "provenance."), [""; 0]);
}

#[tokio::test]
async fn code_inside_an_action_cannot_change_its_claims() {
    let rig = Rig::start().await;
    let action = || rig.guard.action("secret.rotate").target("vault:prod/billing-db");
    let inside = async {
        let context = opentelemetry::Context::current();
        for n in 0..200 {
            context.span().set_attribute(KeyValue::new(format!("junk.{n}"), n));
        }
        context.span().set_attribute(KeyValue::new("provenance.action.target", "vault:prod/other"));
        context.span().set_attribute(KeyValue::new("provenance.claims", "forged"));
        Ok::<_, Refused>(())
    };
    action().approved_by(&approve(&action())).run(inside).await.unwrap();
    let spans = rig.spans().await;
    let span = spans.named("execute_tool secret.rotate");
    assert_eq!(values(span, "provenance.action.target"), ["vault:prod/billing-db"]);
    assert!(span.dropped_attributes_count > 0, "the flood reached the limit");
    assert_eq!(judge(span).verdict, Verdict::Proven);
}

#[tokio::test]
async fn a_flood_does_not_push_claims_off_a_plain_action() {
    let rig = Rig::start().await;
    let span = tracing::info_span!("execute_tool", gen_ai.operation.name = "execute_tool");
    for n in 0..200_i64 {
        span.set_attribute(format!("junk.{n}"), n);
    }
    span.in_scope(|| ());
    drop(span);
    assert!(rig.spans().await.judged("execute_tool").claims.is_some());
}

#[tokio::test]
async fn claims_that_are_copied_or_edited_on_the_way_are_found_out() {
    let rig = Rig::observing().await;
    let action = |target: &str| rig.guard.action("secret.rotate").target(target);
    let approved = action("vault:prod/billing-db");
    approved.clone().approved_by(&approve(&approved)).run(async { Ok::<_, Refused>(()) }).await.unwrap();
    action("vault:prod/root").run(async { Ok::<_, Refused>(()) }).await.unwrap();
    let spans = rig.spans().await.actions();

    let mut copied = spans[1].clone();
    copied.attributes = spans[0].attributes.clone();
    let found = judge(&copied);
    assert_eq!(
        (found.verdict, &*found.reasons),
        (Verdict::Violated, &[Reason::TraceMismatch, Reason::SpanMismatch, Reason::ParentMismatch][..])
    );

    let mut edited = spans[0].clone();
    let target = edited.attributes.iter_mut().find(|attribute| attribute.key == "provenance.action.target").unwrap();
    target.value =
        spans[1].attributes.iter().find(|attribute| attribute.key == "provenance.action.target").unwrap().value.clone();
    let found = judge(&edited);
    assert_eq!(
        (found.verdict, &*found.reasons),
        (Verdict::Violated, &[Reason::MirrorMismatch, Reason::UsesNotCounted][..])
    );

    let mut bare = spans[0].clone();
    bare.attributes.retain(|attribute| attribute.key != "provenance.claims");
    assert_eq!(judge(&bare).reasons, [Reason::ClaimsAbsent]);
    assert_eq!(judge(&spans[0]).verdict, Verdict::Proven);
}
