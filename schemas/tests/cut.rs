//! Cuts: what is kept out is gone, the rest fits, what is stored decodes, and the pieces make it whole again.

mod oracle;
mod support;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use oracle::cut::{accepted, check, keep_out};
use proptest::prelude::*;
use prost::Message;
use spanseal_schemas::abridge::abridge;
use spanseal_schemas::cut::{self, BYTES_MIN, CutError, Hole, MESSAGE_BYTES_MAX, Shape, plan, remove, restore, view};
use spanseal_schemas::event::Cut;
use support::wire::{damaged, damages, field, messages, padded, tag};

proptest! {
    #![proptest_config(support::cases(1000))]

    #[test]
    fn honest_messages_come_back(span in support::spans(), resource in support::resources(),
                                 scope in support::scopes(), bytes_max in 0..3000usize) {
        check(Shape::Span, &span.encode_to_vec(), bytes_max);
        check(Shape::Resource, &resource.encode_to_vec(), bytes_max);
        check(Shape::Scope, &scope.encode_to_vec(), bytes_max);
    }

    #[test]
    fn strange_messages_come_back(fields in prop::collection::vec(messages(), 0..8), damages in damages(),
                                  bytes_max in 0..3000usize) {
        for message in [fields.concat(), damaged(fields.concat(), &damages)] {
            check(Shape::Span, &message, bytes_max);
            check(Shape::Resource, &message, bytes_max);
            check(Shape::Scope, &message, bytes_max);
        }
    }

    #[test]
    fn a_kept_out_value_leaves_the_rest_as_it_was(span in support::spans()) {
        let cut = check(Shape::Span, &span.encode_to_vec(), 1 << 20);
        let seen = Span::decode(&*cut.view).expect("the view decodes");
        prop_assert_eq!(blank(seen).encode_to_vec(), blank(span).encode_to_vec());
    }
}

proptest! {
    #![proptest_config(support::cases(100))]

    #[test]
    fn strange_messages_of_any_length_fit(fields in prop::collection::vec(messages(), 1..8), bytes_max in BYTES_MIN..65_000) {
        let mut fields: Vec<Vec<u8>> = fields.into_iter().filter(|field| repeats(field)).collect();
        fields.push(field(9, b""));
        let once = fields.concat();
        let message = once.repeat(100_000 / once.len());
        for shape in [Shape::Span, Shape::Resource, Shape::Scope] {
            if accepted(shape, &message) {
                check(shape, &message, bytes_max);
            }
        }
    }
}

/// A span with its secrets taken out.
fn blank(mut span: Span) -> Span {
    let events = span.events.iter_mut().flat_map(|event| &mut event.attributes);
    let links = span.links.iter_mut().flat_map(|link| &mut link.attributes);
    for attribute in span.attributes.iter_mut().chain(events).chain(links) {
        if keep_out(&attribute.key) {
            attribute.value = None;
            attribute.key_strindex = 0;
        }
    }
    span
}

/// Whether the field may stand in a span any number of times.
fn repeats(field: &[u8]) -> bool {
    let mut buffer = field;
    let (number, _) = prost::encoding::decode_key(&mut buffer).expect("a field");
    [9, 11, 13].contains(&number) || number > 16
}

#[test]
fn one_huge_value_is_one_hole() {
    let huge = "x".repeat(200_000);
    let attributes = vec![text("a", "1"), text("gen_ai.input.messages", &huge), text("z", "2")];
    let span = Span { attributes, ..honest() };
    let cut = check(Shape::Span, &span.encode_to_vec(), 60_000);
    let [hole] = &cut.holes[..] else { panic!("{:?}", cut.holes) };
    assert_eq!((hole.length, &hole.path[..], hole.fields), (200_000, &[9, 2, 1][..], false));
    let seen = Span::decode(&*cut.view).expect("the view decodes");
    assert_eq!(seen.attributes[1], text("gen_ai.input.messages", &"\0".repeat(200_000)));
    assert_eq!((&seen.attributes[0], &seen.attributes[2]), (&span.attributes[0], &span.attributes[2]));
}

#[test]
fn the_largest_values_go_first_and_no_more_than_need_be() {
    let attributes = (0..40).map(|n| text(&format!("k{n}"), &"x".repeat(1000 + 100 * (n % 20)))).collect();
    let span = Span { attributes, ..honest() };
    let cut = check(Shape::Span, &span.encode_to_vec(), 60_000);
    assert_eq!(cut.holes.len(), 7, "of 79 kB in 40 values, two each of 2900, 2800, 2700 and one of 2600");
    assert!(cut.holes.iter().all(|hole| hole.length >= 2600), "{:?}", cut.holes);
    let stored = remove(&span.encode_to_vec(), &cut.holes);
    assert!(stored.len() > 55_000, "{} bytes stored", stored.len());
}

#[test]
fn of_equally_long_values_only_as_many_go_as_need_be() {
    let attributes = (0..100).map(|n| text(&format!("k{n}"), &"x".repeat(1000))).collect();
    let cut = check(Shape::Span, &Span { attributes, ..honest() }.encode_to_vec(), 60_000);
    assert!((42..=46).contains(&cut.holes.len()), "{} holes", cut.holes.len());
}

#[test]
fn of_thousands_of_events_the_first_stay() {
    let events: Vec<Event> = (0..5000).map(|n| Event { name: format!("event {n}"), ..event() }).collect();
    let span = Span { events, attributes: vec![text("a", "1")], ..honest() };
    let cut = check(Shape::Span, &span.encode_to_vec(), 60_000);
    let [hole] = &cut.holes[..] else { panic!("{:?}", cut.holes) };
    assert_eq!((&hole.path[..], hole.fields), (&[][..], true));
    let seen = Span::decode(&*cut.view).expect("the view decodes");
    assert!(seen.events.len() > 900, "{} events", seen.events.len());
    assert_eq!(seen.events[..], span.events[..seen.events.len()]);
    assert_eq!(seen.attributes, span.attributes);
}

#[test]
fn a_value_that_is_no_text_is_cut_with_its_fields() {
    for value in [Value::BoolValue(true), Value::IntValue(7), Value::DoubleValue(0.5)] {
        let attributes = vec![KeyValue { value: Some(AnyValue { value: Some(value) }), ..text("secret", "") }];
        let cut = check(Shape::Span, &Span { attributes, ..honest() }.encode_to_vec(), 60_000);
        let [hole] = &cut.holes[..] else { panic!("{:?}", cut.holes) };
        assert_eq!((&hole.path[..], hole.fields), (&[9][..], true));
    }
}

#[test]
fn attributes_out_of_order_are_cut_all_the_same() {
    let (key, value) = (field(1, b"secret"), field(2, &field(1, b"hidden")));
    let twice = field(2, &[field(1, b"hidden"), field(1, b"hidden")].concat());
    let bytes = field(2, &field(7, b"hidden"));
    for parts in [
        vec![&key, &value],
        vec![&value, &key],
        vec![&key, &value, &value],
        vec![&value, &key, &value],
        vec![&key, &value, &key],
        vec![&key, &key, &bytes],
        vec![&twice, &key],
    ] {
        let attribute: Vec<u8> = parts.into_iter().flatten().copied().collect();
        for (shape, message) in [
            (Shape::Span, field(9, &attribute)),
            (Shape::Span, field(11, &[field(2, b"name"), field(3, &attribute)].concat())),
            (Shape::Span, field(13, &[field(4, &attribute), field(1, &[1; 16])].concat())),
            (Shape::Resource, field(1, &attribute)),
            (Shape::Scope, field(3, &attribute)),
        ] {
            let cut = check(shape, &message, 60_000);
            assert!(!contains(&remove(&message, &cut.holes), b"hidden"), "{message:02x?} {:?}", cut.holes);
        }
    }
}

#[test]
fn a_key_between_its_values_goes_with_them() {
    let (key, value) = (field(1, b"secret"), field(2, &field(1, b"hidden")));
    let attribute = [value.clone(), key, value].concat();
    for (message, path) in [(field(9, &attribute), vec![]), (field(11, &field(3, &attribute)), vec![11])] {
        let cut = check(Shape::Span, &message, 60_000);
        let [hole] = &cut.holes[..] else { panic!("{:?}", cut.holes) };
        assert_eq!((&hole.path, hole.fields, hole.end()), (&path, true, message.len()));
    }
}

#[test]
fn what_says_nothing_is_not_cut() {
    let nothing: [&[u8]; 4] = [b"", &[0x12, 0], &[0x12, 2, 0x0A, 0], &[0x18, 5]];
    for value in nothing {
        let attribute = [&field(1, b"secret"), value].concat();
        assert_eq!(check(Shape::Span, &field(9, &attribute), 60_000).holes, []);
    }
}

#[test]
fn every_hostile_span_fits() {
    let tiny = field(9, b"");
    let unknown = [tag(50, 0), vec![1]].concat();
    let group = [tag(60, 3), tag(1, 0), vec![1], tag(60, 4)].concat();
    let pair = [field(1, b"secret"), field(2, &field(1, b"x"))].concat();
    let secret = field(9, &pair);
    let status = |parts: Vec<u8>| field(15, &parts);
    let many = |parts: &[&[u8]], bytes: usize| parts.concat().repeat(bytes / parts.concat().len() + 1);
    let mut nested = vec![];
    for _ in 0..45 {
        nested = field(5, &field(1, &[nested, field(1, &[b'x'; 2000])].concat()));
    }
    let identity = [
        field(1, &[1; 16]),
        field(2, &[2; 8]),
        field(4, &[4; 8]),
        padded_number(6, 2),
        [tag(7, 1), vec![7; 8]].concat(),
        [tag(8, 1), vec![8; 8]].concat(),
        padded_number(10, 1),
        padded_number(12, 1),
        padded_number(14, 1),
        [tag(16, 5), vec![1; 4]].concat(),
    ];
    let huge = |number: u32| field(number, &vec![b'x'; 100_000]);
    let spans = [
        many(&[&tiny, &unknown], 70_000),
        many(&[&tiny, &field(11, b""), &unknown, &field(13, b"")], 300_000),
        many(&[&group, &tiny], 100_000),
        many(&[&secret], 300_000),
        many(&[&secret, &unknown, &field(11, &field(3, &pair))], 300_000),
        field(11, &many(&[&field(3, &pair), &field(2, b"e")], 200_000)),
        field(9, &many(&[&field(1, b"k"), &field(2, b"")], 100_000)),
        field(9, &field(2, &nested)),
        huge(1),
        huge(2),
        huge(3),
        huge(4),
        huge(5),
        [huge(1), huge(2), huge(3), huge(4), huge(5), status(huge(2))].concat(),
        status(huge(2)),
        status(many(&[&[0x18, 1], &[0x08, 0]], 100_000)),
        status(many(&[&field(2, &[b'x'; 100])], 100_000)),
        many(&[&tag(90, 3)], 60).into_iter().chain(many(&[&tag(90, 4)], 60)).collect(),
        field(99, &vec![0; 5_000_000]),
        identity.iter().flat_map(|part| [part.clone(), many(&[&tiny], 10_000)].concat()).collect(),
        identity
            .iter()
            .flat_map(|part| [part.clone(), field(9, &field(2, &field(7, part))), field(11, &huge(2))].concat())
            .collect(),
    ];
    for span in spans {
        assert!(accepted(Shape::Span, &span), "no hostile span: {:02x?}", &span[..40]);
        for bytes_max in [BYTES_MIN, 30_000, 65_000] {
            check(Shape::Span, &span, bytes_max);
        }
    }
}

#[test]
fn every_hostile_resource_and_scope_fits() {
    let count = [tag(2, 0), vec![1]].concat();
    let names = [field(1, b"n"), field(2, b"v")].concat();
    let secret = [field(1, b"secret"), field(2, &field(1, b"x"))].concat();
    let resources = [
        [count.clone(), field(1, b"")].concat().repeat(30_000),
        [count.clone(), field(3, b"")].concat().repeat(30_000),
        count.repeat(100_000),
        field(1, &secret).repeat(20_000),
        field(3, &field(3, b"id").repeat(30_000)),
        field(1, &[field(1, b"big"), field(2, &field(1, &[b'x'; 300_000]))].concat()),
    ];
    let scopes = [names.repeat(20_000), field(3, &secret).repeat(20_000), field(1, &[b'n'; 100_000])];
    for bytes_max in [BYTES_MIN, 65_000] {
        resources.iter().for_each(|resource| drop(check(Shape::Resource, resource, bytes_max)));
        scopes.iter().for_each(|scope| drop(check(Shape::Scope, scope, bytes_max)));
    }
}

#[test]
fn a_span_of_millions_of_fields_fits() {
    let tiny = field(9, b"").repeat(8 << 20);
    let holes = plan(&tiny, &|_| false, 65_000);
    assert!(tiny.len() - holes.iter().map(|hole| hole.length as usize).sum::<usize>() < 65_000, "{holes:?}");
    let secret = field(9, &[field(1, b"secret"), field(2, &field(1, b"x"))].concat());
    let secrets = secret.repeat((16 << 20) / secret.len());
    let holes = plan(&secrets, &keep_out, 65_000);
    assert!(secrets.len() - holes.iter().map(|hole| hole.length as usize).sum::<usize>() < 65_000);
}

#[test]
fn fillers_of_every_length_decode() {
    for length in (3..300).chain(16_380..16_400).chain((1 << 21) - 5..(1 << 21) + 10) {
        let cut = Cut { offset: 2, length, path: vec![], fields: true, commitment: vec![0; 32] };
        let stored = [0x30, 1, 0x30, 2];
        let view = view(&stored, &[cut]).expect("the cut fits");
        assert_eq!(view.len(), 4 + length as usize);
        assert_eq!(Span::decode(&*view).expect("the view decodes").kind, 2);
    }
}

#[test]
fn cuts_that_do_not_fit_are_refused() {
    let cut = |offset, length, fields| Cut { offset, length, path: vec![], fields, commitment: vec![] };
    let refused = |cuts: &[Cut], index| {
        assert_eq!(view(b"abcdef", cuts), Err(CutError::Misplaced { index }));
        let zeros = vec![0; 300];
        let pieces: Vec<&[u8]> = cuts.iter().map(|cut| zeros.get(..cut.length as usize).unwrap_or(&[])).collect();
        assert!(restore(b"abcdef", cuts, &pieces).is_err());
        assert!(abridge(b"abcdef", cuts, &|_| String::new()).is_err());
    };
    refused(&[cut(7, 1, false)], 0);
    refused(&[cut(1, 0, false)], 0);
    refused(&[cut(1, 2, true)], 0);
    refused(&[cut(1, 2, false), cut(2, 2, false)], 1);
    refused(&[cut(1, 2, false), cut(0, 1, false)], 1);
    refused(&[cut(1, 2, false), cut(9, 1, false)], 1);
    refused(&[cut(1, u32::MAX, false)], 0);
    refused(&[cut(1, MESSAGE_BYTES_MAX as u32 - 5, false)], 0);
    assert_eq!(view(b"abcdef", &[cut(6, 2, false)]).as_deref(), Ok(&b"abcdef\0\0"[..]));
    assert_eq!(view(b"", &[cut(0, 1, false), cut(1, 1, false)]).as_deref(), Ok(&b"\0\0"[..]));
    let one = [cut(1, 2, false)];
    assert_eq!(restore(b"ad", &one, &[b"bc"]).as_deref(), Ok(&b"abcd"[..]));
    assert_eq!(restore(b"ad", &one, &[]), Err(CutError::PieceCount { cuts: 1, pieces: 0 }));
    assert_eq!(restore(b"ad", &one, &[b"b"]), Err(CutError::PieceLength { index: 0, expected: 2, got: 1 }));
}

fn honest() -> Span {
    Span { trace_id: vec![1; 16], span_id: vec![2; 8], name: "execute_tool".into(), kind: 3, ..Span::default() }
}

fn event() -> Event {
    Event { time_unix_nano: 1, attributes: vec![text("exception.message", "it broke in a way")], ..Event::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, key_strindex: 0 }
}

fn padded_number(number: u32, value: u64) -> Vec<u8> {
    [tag(number, 0), padded(value, 7)].concat()
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn a_cut_that_is_elsewhere_than_its_path_is_named() {
    let span =
        [field(5, b"name"), field(9, &[field(1, b"key"), field(2, &field(1, b"hidden"))].concat()), field(99, b"x")];
    let span = span.concat();
    let value = span.windows(6).position(|window| window == b"hidden").expect("it is there") as u32;
    let check = |holes: &[(u32, u32, &[u32], bool)], expected: Result<(), CutError>| {
        let hole = |&(offset, length, path, fields): &(u32, u32, &[u32], bool)| Hole {
            offset,
            length,
            path: path.to_vec(),
            fields,
        };
        let holes: Vec<Hole> = holes.iter().map(hole).collect();
        let cuts: Vec<Cut> = holes.iter().map(|hole| hole.clone().commit([7; 32])).collect();
        assert_eq!(cut::check(&remove(&span, &holes), &cuts), expected, "{holes:?}");
    };
    let elsewhere = |index| Err(CutError::Elsewhere { index });
    check(&[], Ok(()));
    check(&[(value, 6, &[9, 2, 1], false)], Ok(()));
    check(&[(0, 6, &[], true), (value, 6, &[9, 2, 1], false)], Ok(()));
    check(&[(2, 4, &[5], false), (value - 4, 10, &[9], true)], Ok(()));
    check(&[(value, 6, &[9, 2, 7], false)], elsewhere(0));
    check(&[(value, 6, &[9, 2], false)], elsewhere(0));
    check(&[(value, 6, &[9, 2, 1, 1], false)], elsewhere(0));
    check(&[(value, 6, &[], false)], elsewhere(0));
    check(&[(value, 6, &[9, 2], true)], elsewhere(0));
    check(&[(value, 5, &[9, 2, 1], false)], elsewhere(0));
    check(&[(value, 3, &[9, 2, 1], false), (value + 3, 3, &[9, 2, 1], false)], elsewhere(0));
    check(&[(2, 4, &[5], false), (value, 6, &[11, 2, 1], false)], elsewhere(1));
    check(&[(0, 6, &[5], true)], elsewhere(0));
    check(&[(1, 5, &[], true)], elsewhere(0));
    check(&[(span.len() as u32, 4, &[], true)], Ok(()));
    check(&[(span.len() as u32, 4, &[5], false)], elsewhere(0));
    check(&[(span.len() as u32, 2, &[], true)], Err(CutError::Misplaced { index: 0 }));
}

#[test]
fn a_path_of_any_length_ends_without_a_stack_overflow() {
    let path = vec![1; 20_000];
    let message = path.iter().fold(vec![0; 4], |inner, number| field(*number, &inner));
    let offset = message.len() as u32 - 4;
    let cuts = [Cut { offset, length: 4, path, fields: false, commitment: vec![] }];
    let stored = &message[..message.len() - 4];
    assert_eq!(cut::check(stored, &cuts), Err(CutError::Elsewhere { index: 0 }));
    assert_eq!(abridge(stored, &cuts, &|_| String::new()), Err(CutError::Misplaced { index: 0 }));
}

#[test]
fn links_are_cut_like_events() {
    let links = (0..3000).map(|n| Link { attributes: vec![text("n", &n.to_string())], ..Link::default() }).collect();
    check(Shape::Span, &Span { links, ..honest() }.encode_to_vec(), 20_000);
}
