//! What becomes of a request before the stream's thread sees it.

use std::sync::Arc;

use opentelemetry_proto::tonic::trace::v1::Span;
use prometheus_client::metrics::gauge::Gauge;
use prost::Message;
use spanseal_schemas::event::{ResourceEvent, Verdict as Judged, What};
use spanseal_schemas::{envelope, kind};

use super::requests::{Request, SECRET, secret_span, span, text};
use super::verdict::verdict;
use super::world::{Settings, World};
use crate::intake::{Budget, Encoding, Received, Refusal, Tenant};
use crate::seal::rejection::CUT_MESSAGES_MAX;

/// The span is refused for good, alone, with this reason.
#[track_caller]
fn check_refused(span: Span, reason: &str) {
    let world = World::new(Settings::default());
    let mut world = world;
    let process = world.must_start();
    let (parcel, _answer) = world.parcel(&process, &Request::of([1]).with(span));
    assert_eq!(parcel.spans.len(), 1);
    let rejected = parcel.rejected.expect("a span is refused");
    assert_eq!(rejected.message, format!("refused for good: 1 of 2 spans: span 2: {reason}"));
}

#[test]
fn refuses_each_bad_id_alone() {
    for (bad, reason) in [
        (Span { trace_id: vec![], ..span(2) }, "the trace id is 0 bytes, not 16"),
        (Span { trace_id: vec![1; 17], ..span(2) }, "the trace id is 17 bytes, not 16"),
        (Span { trace_id: vec![0; 16], ..span(2) }, "the trace id is all zeros"),
        (Span { span_id: vec![1; 7], ..span(2) }, "the span id is 7 bytes, not 8"),
        (Span { span_id: vec![0; 8], ..span(2) }, "the span id is all zeros"),
        (Span { parent_span_id: vec![1; 9], ..span(2) }, "the parent span id is 9 bytes, not 8 or none"),
    ] {
        check_refused(bad, reason);
    }
}

#[test]
fn takes_ids_that_begin_and_end_with_zeros() {
    let mut world = World::new(Settings::default());
    let process = world.must_start();
    let mut odd = span(2);
    odd.trace_id = [&[0; 7][..], &[1], &[0; 8]].concat();
    odd.span_id = vec![0, 0, 0, 1, 0, 0, 0, 0];
    odd.parent_span_id = vec![0; 8];
    let (parcel, _answer) = world.parcel(&process, &Request::of([]).with(odd));
    assert!(parcel.rejected.is_none());
}

#[test]
fn cuts_no_more_than_so_many_messages_of_a_request() {
    let mut world = World::new(Settings::default());
    let process = world.must_start();
    let cut = (0..CUT_MESSAGES_MAX as u64 + 3).fold(Request::of([]), |all, number| all.with(secret_span(number, 1)));
    let (parcel, _answer) = world.parcel(&process, &cut.with(span(1_000_000)));
    assert_eq!((parcel.spans.len(), parcel.subjects().count()), (CUT_MESSAGES_MAX + 1, CUT_MESSAGES_MAX));
    let rejected = parcel.rejected.unwrap();
    let reason = "span 16385: more than 16384 spans, resources and scopes of the request have values to keep out; ";
    assert!(rejected.spans == 3 && rejected.message.contains(reason), "{}", rejected.message);
}

#[test]
fn refuses_all_spans_under_an_overlong_schema_url() {
    let mut world = World::new(Settings::default());
    let process = world.must_start();
    let request = Request { schema_url: "x".repeat(4097), ..Request::of(1..=5) };
    let (parcel, _answer) = world.parcel(&process, &request);
    assert_eq!((parcel.spans.len(), parcel.rejected.unwrap().spans), (0, 5));
}

#[test]
fn seals_the_verdict_on_an_action_and_none_on_other_spans() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    let mut action = span(2);
    action.attributes = vec![text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", "rm")];
    world.must_seal(&mut process, &Request::of([1]).with(action));
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    let judged: Vec<_> = verdict
        .of_kind(kind::SPAN)
        .map(|event| envelope::view(&event.event[1..]).unwrap().assessment.map(|assessment| assessment.verdict()))
        .collect();
    assert_eq!(judged, [None, Some(Judged::Unproven)]);
}

#[test]
fn cuts_what_is_kept_out_of_a_resource_and_what_does_not_fit() {
    let mut world = World::new(Settings::default());
    let mut process = world.must_start();
    let request = Request {
        resource: vec![text(SECRET, "hush hush"), text("long", &"y".repeat(200_000))],
        ..Request::of([1, 2])
    };
    world.must_seal(&mut process, &request);
    world.end(process).unwrap();
    let mut process = world.must_start();
    world.must_seal(&mut process, &request);
    world.end(process).unwrap();
    let verdict = verdict(&world.memory, &world.pins);
    verdict.must_hold();
    assert_eq!(verdict.spans(), [1, 2], "retries are recognised by the resource as it was received");
    let resources = verdict.of_kind(kind::RESOURCE).map(|event| ResourceEvent::decode(&event.event[1..]).unwrap());
    let cut: Vec<ResourceEvent> = resources.filter(|event| event.what() == What::Resource).collect();
    let [cut] = &cut[..] else { panic!("the second life writes no span, so it needs no resource") };
    assert_eq!((cut.cuts.len(), cut.payloads.len()), (2, 1));
    assert!(!cut.content.windows(4).any(|part| part == b"hush" || part == b"yyyy"));
}

#[test]
fn keeps_each_different_resource_and_scope_once_in_a_parcel() {
    let mut world = World::new(Settings::default());
    let process = world.must_start();
    let (parcel, _answer) = world.parcel(&process, &Request::of(1..=100));
    assert_eq!(parcel.shared.len(), 2);
    assert!(parcel.spans.iter().all(|span| (span.resource, span.scope) == (0, 1)));
    assert!(parcel.spans.iter().all(|span| span.extra.is_none()), "ordinary spans carry nothing more");
}

#[test]
fn takes_what_tiny_spans_cost_from_the_budget_before_it_takes_them() {
    let mut world = World::new(Settings::default());
    let process = world.must_start();
    // How many times its own bytes a request holds of a budget so many times as large; `None`: it is asked to come again.
    let held = |spans: Vec<Span>, budget_times: u64| {
        let request = Request { spans, ..Request::of([]) }.encode();
        let bytes = request.len() as u64;
        let budget = Budget::new(budget_times * bytes, Gauge::default());
        let mut permit = budget.permit();
        permit.grow(bytes).unwrap();
        let tenant = Arc::new(Tenant { name: "acme".to_owned(), peer: String::new() });
        let (encoding, received_unix_nano) = (Encoding::Protobuf, world.now.wall_unix_nano);
        let received = Received { request, encoding, tenant, received_unix_nano, budget: Some(permit) };
        let taken = match process.scanner.parcel(received, tokio::sync::oneshot::channel().0) {
            Ok(parcel) => Some(parcel.budget.as_ref().unwrap().bytes() as f64 / bytes as f64),
            Err(refusal) => {
                assert!(matches!(refusal, Refusal::Busy { .. }), "{refusal}");
                None
            }
        };
        assert_eq!(budget.taken(), 0, "all of it is given back");
        taken
    };
    let ordinary = |number| Span { attributes: vec![text("prompt", &"x".repeat(600))], ..span(number) };
    assert_eq!(held((1..=100).map(ordinary).collect(), 1), Some(1.0), "ordinary spans cost nothing more");
    let tiny = |number| Span { span_id: span(number).span_id, trace_id: vec![1; 16], ..Span::default() };
    let tiny: Vec<Span> = (1..=10_000).map(tiny).collect();
    assert_eq!(held(tiny.clone(), 3), None);
    let times = held(tiny, 4).expect("one that is alone has room");
    assert!((3.0..3.5).contains(&times), "{times}");
    let times = held(vec![Span::default(); 10_000], 4).expect("spans without ids are not kept");
    assert!(times < 3.5, "{times}");
}
