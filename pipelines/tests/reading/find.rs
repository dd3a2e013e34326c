//! Searching: each condition alone and with others, pages, orders.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use spanseal_authority::action::Action;
use spanseal_authority::approval::Approval;
use spanseal_authority::claims::{Business, Claims, Decision, Party, Policy};
use spanseal_authority::key::SigningKey;
use spanseal_pipelines::facet::Facet;
use spanseal_pipelines::find::{Order, Query, find};
use spanseal_schemas::event::{Assessment, Verdict};

use crate::index::index;
use crate::world::{BEGIN_SECONDS, SECOND, Sealed, World, attribute, segments, span, spans, text};

/// What a signed action of the tests claims.
pub(crate) fn claims(trace: u8, number: u64) -> Claims {
    let text = |text: &str| Some(text.to_owned());
    let key = SigningKey::from_seed(&[1; 32]);
    let action = Action {
        kind: "ticket.update".into(),
        target: text("ticket:OPS-12"),
        tool: text("update_ticket"),
        arguments: None,
        salt: [0; 16],
    };
    let approval = Approval {
        audience: crate::world::NAME.into(),
        approver: "boris@acme".into(),
        actor: "spiffe://acme/agent/deployer".into(),
        key: key.public().thumbprint(),
        action_digest: action.digest(),
        not_before: BEGIN_SECONDS,
        expires: BEGIN_SECONDS + 3600,
        id: "ap-7".into(),
        max_uses: 1,
        ticket: text("OPS-12"),
        justification: text("the customer asked"),
    };
    Claims {
        audience: crate::world::NAME.into(),
        issued_at: BEGIN_SECONDS,
        producer: [1; 16],
        sequence: 1,
        clearance: [2; 16],
        trace: [trace; 16],
        span: number.to_be_bytes(),
        owner: text("team:shop"),
        initiator: Some(Party { id: "anna@acme".into(), kind: "human".into() }),
        delegation: vec!["anna@acme".into(), "spiffe://acme/agent/deployer".into()],
        business: Business { ticket: text("OPS-12"), ..Business::default() },
        policy: Some(Policy { id: text("d-9"), ..Policy::of(Decision::Allow) }),
        approval: Some(approval.sign(&key)),
        ..Claims::bare(Party { id: "spiffe://acme/agent/deployer".into(), kind: "agent".into() }, action)
    }
}

/// A span with signed claims and a verdict.
pub(crate) fn action(trace: u8, number: u64, parent: Option<u64>, verdict: Verdict, reasons: Vec<u32>) -> Sealed {
    let token = claims(trace, number).sign(&SigningKey::from_seed(&[1; 32]));
    let attributes = vec![text("provenance.claims", &token), text("gen_ai.agent.name", "deployer")];
    let assessment = Assessment { verdict: verdict as i32, grades: vec![3, 0, 1, 3], reasons };
    Sealed { assessment: Some(assessment), ..span(trace, number, parent, "execute_tool update_ticket", attributes) }
}

fn world() -> World {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 30));
    world.seal_spans(
        0,
        &[action(2, 1, None, Verdict::Proven, vec![]), action(2, 2, Some(1), Verdict::Violated, vec![101])],
    );
    let array = ArrayValue { values: vec![AnyValue { value: Some(Value::StringValue("p-1".into())) }] };
    let other = vec![
        text("session.id", "c-1"),
        text("db.collection.name", "orders"),
        text("provenance.credential.id", "cred-1"),
        attribute("provenance.policy.ids", Value::ArrayValue(array)),
        attribute("tokens", Value::IntValue(42)),
        attribute("temperature", Value::DoubleValue(0.5)),
        attribute("streamed", Value::BoolValue(true)),
        text("long", &"x".repeat(1000)),
    ];
    world.seal_spans(0, &[span(3, 1, None, "chat", other)]);
    world.checkpoint();
    index(&world);
    world
}

#[track_caller]
fn check(world: &World, query: &Query, expected: usize) {
    let found = find(&world.data, query).unwrap();
    assert_eq!(found.rows.len(), expected, "{query:?} finds {:#?}", found.rows);
}

#[test]
fn finds_by_every_facet_of_signed_claims_and_attributes() {
    let world = world();
    for (facet, value, expected) in [
        (Facet::Agent, "deployer", 2),
        (Facet::Actor, "spiffe://acme/agent/deployer", 2),
        (Facet::User, "anna@acme", 2),
        (Facet::Owner, "team:shop", 2),
        (Facet::Tool, "update_ticket", 2),
        (Facet::Target, "ticket:OPS-12", 2),
        (Facet::Target, "orders", 1),
        (Facet::Credential, "cred-1", 1),
        (Facet::Approver, "boris@acme", 2),
        (Facet::Approval, "ap-7", 2),
        (Facet::Ticket, "OPS-12", 2),
        (Facet::Policy, "d-9", 2),
        (Facet::Policy, "p-1", 1),
        (Facet::Conversation, "c-1", 1),
        (Facet::Tool, "nothing of the kind", 0),
    ] {
        check(&world, &Query { facets: vec![(facet, value.to_owned())], ..Query::default() }, expected);
    }
}

#[test]
fn finds_by_any_attribute_whatever_its_type() {
    let world = world();
    let long = "x".repeat(1000);
    for (key, value, expected) in [
        ("tokens", "42", 1),
        ("temperature", "0.5", 1),
        ("streamed", "true", 1),
        ("long", long.as_str(), 1),
        ("gen_ai.operation.name", "chat", 30),
        ("service.name", "shop-agent", 33),
        ("tokens", "43", 0),
        ("no such key", "42", 0),
    ] {
        check(&world, &Query { attributes: vec![(key.to_owned(), value.to_owned())], ..Query::default() }, expected);
    }
}

#[test]
fn finds_by_ids_name_verdict_kind_service_and_time() {
    let world = world();
    let query = Query::default;
    check(&world, &Query { trace: Some([2; 16]), ..query() }, 2);
    check(&world, &Query { span: Some(7u64.to_be_bytes()), ..query() }, 1);
    check(&world, &Query { event: Some(world.event(0, 2)), ..query() }, 1);
    check(&world, &Query { event: Some(world.event(0, 9999)), ..query() }, 0);
    check(&world, &Query { name: Some("work".into()), ..query() }, 30);
    check(&world, &Query { verdict: Some(Verdict::Violated), ..query() }, 1);
    check(&world, &Query { kind: Some(2), ..query() }, 4);
    check(&world, &Query { service: Some("shop-agent".into()), ..query() }, 33);
    check(&world, &Query { service: Some("another".into()), ..query() }, 0);
    let at = |number: u64| Some(BEGIN_SECONDS * SECOND + number * 1000);
    check(&world, &Query { kind: Some(1), since: at(10), until: at(12), ..query() }, 2);
    check(&world, &Query { trace: Some([2; 16]), verdict: Some(Verdict::Proven), since: at(1), ..query() }, 1);
    check(&world, &Query { trace: Some([1; 16]), verdict: Some(Verdict::Proven), ..query() }, 0);
}

#[test]
fn gives_pages_in_either_order_without_a_gap() {
    let world = world();
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let whole = find(&world.data, &Query { order, limit: 1000, ..Query::default() }).unwrap();
        assert_eq!(whole.next, None);
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let page = find(&world.data, &Query { order, limit: 7, after, ..Query::default() }).unwrap();
            assert!(page.rows.len() <= 7);
            pages.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages, whole.rows, "{order:?}");
    }
}

#[test]
fn finds_the_rare_among_the_common() {
    let mut world = World::with_stream();
    let common = |number: u64| span(1, number, None, "work", vec![text("gen_ai.operation.name", "chat")]);
    let mut spans: Vec<Sealed> = (1..=25_000).map(common).collect();
    spans[12_000].span.attributes.push(text("needle", "here"));
    world.seal_spans(0, &spans);
    index(&world);
    let chat = ("gen_ai.operation.name".to_owned(), "chat".to_owned());
    let needle = ("needle".to_owned(), "here".to_owned());
    check(&world, &Query { attributes: vec![chat.clone(), needle], ..Query::default() }, 1);
    check(
        &world,
        &Query { attributes: vec![chat.clone()], service: Some("shop-agent".into()), ..Query::default() },
        100,
    );
    check(&world, &Query { attributes: vec![chat], verdict: Some(Verdict::Proven), ..Query::default() }, 0);
}

#[test]
fn says_how_much_is_indexed() {
    let mut world = world();
    let before = world.size(0);
    world.seal_spans(0, &spans(9, 3));
    world.checkpoint();
    let found = find(&world.data, &Query::default()).unwrap();
    assert_eq!((found.progress.indexed, found.progress.size), (before, world.size(0)));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["progress"]["indexed"], before);
}

#[test]
fn shows_an_event_that_cannot_be_read_any_more_by_its_id() {
    let mut world = World::with_stream();
    let work = world.seal_spans(0, &spans(1, 5))[0];
    world.checkpoint();
    index(&world);
    let query = Query { event: Some(world.event(0, work)), ..Query::default() };
    assert_eq!(find(&world.data, &query).unwrap().rows[0].name.as_deref(), Some("work"));
    let file = segments(&world.dir(0)).remove(0);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 100]).unwrap();
    let row = find(&world.data, &query).unwrap().rows.remove(0);
    assert_eq!((row.event, row.kind.as_str(), row.name), (world.event(0, work).to_string(), "unreadable", None));
}
