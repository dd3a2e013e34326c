//! Trace, actor and leave on the way to other tasks and other processes.

use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::{Context, KeyValue};
use serde_json::{Map, Value, json};
use spanseal::propagate::{Callers, Gate, HEADER, Incoming, NotAdmitted, Propagator, extract, extract_meta};
use spanseal::{Actor, Refused};
use tracing::Instrument;

use crate::sink::*;

fn arguments() -> Value {
    json!({"account": "billing", "share": 0.5})
}

fn gate() -> Gate {
    Gate::requiring(&Callers::new(AUDIENCE).actor(AGENT, agent_key().public())).unwrap()
}

/// Returns the headers that a call inside an authorised action carries.
async fn headers(rig: &Rig, arguments: &Value) -> HashMap<String, String> {
    let action = rig.guard.action("secret.rotate").tool("rotate_secret").arguments(arguments);
    let mut headers = HashMap::new();
    let run = action.run(async {
        rig.guard.inject(&mut headers);
        Ok::<_, Refused>(())
    });
    run.await.unwrap();
    headers
}

#[tokio::test]
async fn a_call_with_leave_for_exactly_this_is_let_in_once() {
    let rig = Rig::observing().await;
    let (headers, gate) = (headers(&rig, &arguments()).await, gate());
    assert!(headers.contains_key("traceparent") && headers.contains_key(HEADER));
    let incoming = extract(&headers);
    let refused = |tool: &str, arguments: &Value| gate.admit(&incoming, tool, arguments).unwrap_err().to_string();
    assert!(refused("read_secret", &arguments()).contains("the tool \"rotate_secret\""));
    assert!(refused("rotate_secret", &json!({"account": "root", "share": 0.5})).contains("other arguments"));
    let admitted = gate.admit(&incoming, "rotate_secret", &arguments()).unwrap();
    assert_eq!((admitted.caller(), admitted.doubt()), (Some(AGENT), None));
    assert_eq!(gate.admit(&incoming, "rotate_secret", &arguments()).unwrap_err(), NotAdmitted::Used);
}

#[tokio::test]
async fn injected_calls_are_refused_or_labelled() {
    let rig = Rig::observing().await;
    let mut outside = HashMap::new();
    let span = tracing::info_span!("chat");
    async { rig.guard.inject(&mut outside) }.instrument(span).await;
    let none = Incoming::default();
    let forged = Incoming { token: Some("e30.e30.e30".into()) };
    for (incoming, known) in [(&none, false), (&forged, false), (&extract(&outside), true)] {
        assert!(gate().admit(incoming, "rotate_secret", &arguments()).is_err());
        let labelling = Gate::labelling(&Callers::new(AUDIENCE).actor(AGENT, agent_key().public())).unwrap();
        let admitted = labelling.admit(incoming, "rotate_secret", &arguments()).unwrap();
        assert!(admitted.doubt().is_some());
        assert_eq!(admitted.caller().is_some(), known);
    }
    let stranger = Gate::requiring(&Callers::new(AUDIENCE).actor(AGENT, sub_agent_key().public())).unwrap();
    let incoming = extract(&headers(&rig, &arguments()).await);
    let refused = stranger.admit(&incoming, "rotate_secret", &arguments()).unwrap_err().to_string();
    assert!(refused.contains("a key that nobody named"), "{refused}");
}

#[tokio::test]
async fn a_server_acts_for_the_callers_initiator_in_the_callers_trace() {
    let rig = Rig::observing().await;
    let mut meta = Map::new();
    let call = rig.guard.action("secret.rotate").tool("rotate_secret").arguments(&arguments());
    let inside = async {
        rig.guard.inject_meta(&mut meta);
        Ok::<_, Refused>(())
    };
    call.run(inside).await.unwrap();
    let admitted = gate().admit(&extract_meta(&meta), "rotate_secret", &arguments()).unwrap();
    let server = Actor::agent(SUB_AGENT).key(sub_agent_key());
    let work = rig.guard.action("vault.write").run(async { Ok::<_, Refused>(()) });
    admitted.scope(server, work).await.unwrap();
    let spans = rig.spans().await;
    let (caller, served) = (spans.named("execute_tool rotate_secret"), spans.named("execute_tool vault.write"));
    assert_eq!(served.trace_id, caller.trace_id);
    assert_eq!(served.parent_span_id, caller.span_id);
    let claims = judge(served).claims.unwrap();
    assert_eq!(claims.delegation, ["alice@acme.example", AGENT, SUB_AGENT]);
    assert_eq!(claims.initiator.unwrap().id, "alice@acme.example");
}

#[tokio::test]
async fn tasks_and_threads_keep_trace_and_actor() {
    let rig = Rig::observing().await;
    let sub = agent().delegate(Actor::agent(SUB_AGENT).key(sub_agent_key()));
    let (guard, plan) = (&rig.guard, tracing::info_span!("plan"));
    let inside = async {
        let task = guard.action("in.task").run(async { Ok::<_, Refused>(()) });
        sub.clone()
            .scope(async {
                spanseal::spawn(task).await.unwrap().unwrap();
                spanseal::spawn_blocking(|| Actor::current().unwrap().id().to_owned()).await.unwrap()
            })
            .await
    };
    assert_eq!(inside.instrument(plan).await, SUB_AGENT);
    let spans = rig.spans().await;
    let action = spans.named("execute_tool in.task");
    assert_eq!(action.parent_span_id, spans.named("plan").span_id);
    assert_eq!(values(action, "provenance.actor.id"), [SUB_AGENT]);
}

#[test]
fn baggage_in_our_name_is_dropped_both_ways() {
    let entries = [("provenance.delegation", "alice"), ("spanseal.verdict", "proven"), ("tenant", "a")];
    let context = Context::new().with_baggage(entries.map(|(key, value)| KeyValue::new(key, value)));
    let mut sent = HashMap::new();
    Propagator::new().inject_context(&context, &mut sent);
    assert_eq!(sent["baggage"], "tenant=a");
    let forged = HashMap::from([("baggage".to_owned(), "provenance.actor.id=admin,tenant=a".to_owned())]);
    let read = Propagator::new().extract(&forged);
    assert_eq!(read.baggage().len(), 1);
}
