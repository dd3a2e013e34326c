//! The scanner against prost: the same answer or the same refusal, but for spans with a singular field twice.

mod oracle;
mod support;

use oracle::scan::check as check_agrees;
use proptest::prelude::*;
use prost::Message;
use spanseal_schemas::scan::{self, ScanError, SpanFacts};
use support::wire::{damaged, damages, field, padded, tag};

proptest! {
    #![proptest_config(support::cases(2000))]

    #[test]
    fn reads_honest_requests_as_prost_does(request in support::requests()) {
        check_agrees(&request.encode_to_vec());
    }

    #[test]
    fn judges_damaged_requests_as_prost_does(request in support::requests(), damages in damages()) {
        check_agrees(&damaged(request.encode_to_vec(), &damages));
    }

    #[test]
    fn judges_strange_requests_as_prost_does(request in support::wire::requests(), damages in damages()) {
        check_agrees(&request);
        check_agrees(&damaged(request, &damages));
    }

    #[test]
    fn judges_random_bytes_as_prost_does(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        check_agrees(&bytes);
        check_agrees(&in_request(&bytes));
    }
}

#[test]
fn refuses_a_singular_span_field_that_stands_twice() {
    let once = |number: u32| match number {
        6 | 10 | 12 | 14 => [tag(number, 0), vec![1]].concat(),
        7 | 8 => [tag(number, 1), vec![0; 8]].concat(),
        16 => [tag(number, 5), vec![0; 4]].concat(),
        _ => field(number, b""),
    };
    for number in 1..=18 {
        let span = [once(number), field(20, b"x"), once(number)].concat();
        let expected = match number {
            9 | 11 | 13 | 17 | 18 => Ok(SpanFacts::default()),
            _ => Err(ScanError::Duplicate { at: span.len() - once(number).len(), field: number }),
        };
        assert_eq!(scan::span(&span, &mut |_, _| {}).map(|_| SpanFacts::default()), expected, "field {number}");
        check_agrees(&in_request(&span));
    }
}

#[test]
fn an_empty_second_occurrence_is_a_duplicate_too() {
    let span = [field(15, &[0x18, 2]), field(15, b"")].concat();
    assert_eq!(scan::span(&span, &mut |_, _| {}), Err(ScanError::Duplicate { at: 4, field: 15 }));
}

#[test]
fn follows_nesting_as_deep_as_prost_and_no_deeper() {
    let mut refused = 0;
    for depth in 40..110 {
        for leaf in [vec![], field(1, b"x"), field(9, b"x"), tag(9, 0).into_iter().chain([0]).collect()] {
            let mut groups = leaf.clone();
            let mut arrays = leaf;
            for _ in 0..depth {
                groups = [tag(40, 3), groups, tag(40, 4)].concat();
            }
            for _ in 0..depth / 2 {
                arrays = field(5, &field(1, &arrays));
            }
            let value = field(2, &arrays);
            let spans = [
                groups.clone(),
                field(9, &value),
                field(9, &groups),
                field(9, &field(2, &groups)),
                field(11, &field(3, &value)),
                field(11, &groups),
                field(13, &field(4, &value)),
                field(15, &groups),
            ];
            for span in spans {
                refused += usize::from(!check_agrees(&in_request(&span)));
            }
            let resources = [field(1, &value), field(3, &groups), groups.clone()];
            let scopes = [field(3, &value), groups.clone()];
            for resource in resources {
                refused += usize::from(!check_agrees(&field(1, &field(1, &resource))));
            }
            for scope in scopes {
                refused += usize::from(!check_agrees(&field(1, &field(2, &field(1, &scope)))));
            }
            check_agrees(&field(1, &groups));
            check_agrees(&field(1, &field(2, &groups)));
            check_agrees(&groups);
        }
    }
    assert!(refused > 0, "the limit was not reached");
}

#[test]
fn merges_occurrences_of_a_value_as_prost_does() {
    let array = |text: &[u8]| field(5, &field(1, &field(1, text)));
    let list = |text: &[u8]| field(6, &field(1, &[field(1, text), field(2, &field(1, text))].concat()));
    let members = [array(b"a"), array(b"b"), list(b"c"), list(b"d"), field(1, b"text"), vec![0x40, 1], field(5, b"")];
    for first in &members {
        for second in &members {
            for third in &members {
                let one = field(2, &[first.clone(), second.clone(), third.clone()].concat());
                let three = [field(2, first), field(2, second), field(2, third)].concat();
                let two =
                    [field(2, first), field(1, b"key"), field(2, &[second.clone(), third.clone()].concat())].concat();
                for attribute in [one, two, three] {
                    assert!(check_agrees(&in_request(&field(9, &attribute))));
                }
            }
        }
    }
}

#[test]
fn merges_occurrences_of_resource_and_scope_as_prost_does() {
    let (one, two) = (field(1, &field(1, b"a")), field(1, &field(1, b"b")));
    let (name, again) = (field(1, b"name"), field(1, b"again"));
    let scope_spans = [field(1, &name), field(3, b"url"), field(1, b""), field(3, b"last"), field(1, &again)].concat();
    let resource_spans = [field(1, &one), field(2, &scope_spans), field(1, b""), field(1, &two)].concat();
    let request = field(1, &resource_spans);
    assert!(check_agrees(&request));
    let found = scan::request(&request).expect("it is a request");
    assert_eq!(*found[0].resource, [one, two].concat());
    assert_eq!(*found[0].scopes[0].scope, [name, again].concat());
    assert_eq!(found[0].scopes[0].schema_url, "last");
    // Each occurrence is a message: halves of one do not make a whole.
    assert!(!check_agrees(&field(1, &[field(1, &[0x0A, 2, 0x0A]), field(1, &[0])].concat())));
}

#[test]
fn nesting_of_a_million_levels_ends_without_a_stack_overflow() {
    let groups = tag(40, 3).repeat(1_000_000);
    assert!(matches!(scan::span(&groups, &mut |_, _| {}), Err(ScanError::TooDeep { .. })));
    assert!(matches!(scan::request(&groups), Err(ScanError::TooDeep { .. })));
    let mut arrays = vec![];
    for _ in 0..2_000 {
        arrays = field(5, &field(1, &arrays));
    }
    let span = field(9, &field(2, &arrays));
    assert!(matches!(scan::span(&span, &mut |_, _| {}), Err(ScanError::TooDeep { .. })));
}

#[test]
fn one_bad_span_does_not_spoil_the_request() {
    let good = field(5, b"good");
    let request = field(1, &field(2, &[field(2, &good), field(2, &[0xFF]), field(2, &good)].concat()));
    let resources = scan::request(&request).expect("the framing is right");
    let spans: Vec<_> = resources[0].scopes[0].spans.iter().map(|span| scan::span(span, &mut |_, _| {})).collect();
    assert_eq!(spans[0].map(|facts| facts.name), Ok("good"));
    assert_eq!(spans[1], Err(ScanError::Truncated { at: 0 }));
    assert_eq!(spans[2].map(|facts| facts.name), Ok("good"));
}

#[test]
fn refuses_a_request_of_too_many_parts() {
    let empty = |number: u32, count: usize| field(number, b"").repeat(count);
    assert_eq!(scan::request(&empty(1, scan::GROUPS_MAX)).map(|found| found.len()), Ok(scan::GROUPS_MAX));
    let groups = ScanError::TooMany { parts: "resources and scopes", max: scan::GROUPS_MAX };
    assert_eq!(scan::request(&empty(1, scan::GROUPS_MAX + 1)), Err(groups));
    let spans = ScanError::TooMany { parts: "spans", max: scan::SPANS_MAX };
    let request = field(1, &field(2, &empty(2, scan::SPANS_MAX + 1)));
    assert_eq!(scan::request(&request), Err(spans));
}

#[test]
fn a_value_is_judged_to_its_end_whoever_wants_it() {
    let number = |number: u32, wire: u32, bytes: &[u8]| [&tag(number, wire)[..], bytes].concat();
    for first in [field(1, b"v"), number(2, 0, &[1]), number(3, 0, &[5]), number(4, 1, &[0; 8])] {
        for rest in [field(1, b"\xFF"), number(2, 1, &[0; 8]), vec![0x0A, 5], vec![0x80]] {
            let value = [&first[..], &rest].concat();
            let attribute = field(9, &[field(1, b"key"), field(2, &value)].concat());
            assert!(!check_agrees(&in_request(&attribute)), "{value:02x?}");
        }
        let attribute = field(9, &[field(1, b"key"), field(2, &first)].concat());
        assert!(check_agrees(&in_request(&attribute)));
    }
}

#[test]
fn a_text_ends_with_a_character_whatever_follows() {
    // The last byte of the text and the key of the next field, 21, would be one character.
    let next = [&[0xA9, 1][..], &[0; 8]].concat();
    let pair = |key: &[u8], value: &[u8]| field(9, &[field(1, key), field(2, &field(1, value))].concat());
    for (texts, at) in [
        (field(5, b"na\xC3"), 4),
        ([field(3, b"state"), field(5, b"na\xC3")].concat(), 11),
        (pair(b"key", b"value\xC3"), 16),
        ([field(5, b"name"), pair(b"k\xC3", b"v")].concat(), 11),
        (field(11, &field(2, b"event\xC3")), 9),
        ([field(5, "n\u{e9}".as_bytes()), pair(b"key", b"\x80")].concat(), 16),
    ] {
        let span = [&texts[..], &next].concat();
        assert_eq!(scan::span(&span, &mut |_, _| {}), Err(ScanError::Utf8 { at }), "{span:02x?}");
        assert!(!check_agrees(&in_request(&span)));
    }
    let mut seen = Vec::new();
    let span = [pair(b"k\xC3\xA9", b"\xE2\x82\xAC"), tag(7, 1), vec![0xFF; 8], pair(b"k", b"v\xC3\xA9")].concat();
    scan::span(&span, &mut |key, value| seen.push(format!("{key}={value:?}"))).expect("whole characters");
    assert_eq!(seen, ["k\u{e9}=String(\"\u{20ac}\")", "k=String(\"v\u{e9}\")"]);
}

#[test]
fn errors_say_where() {
    #[track_caller]
    fn check(span: &[u8], expected: ScanError, text: &str) {
        assert_eq!(scan::span(span, &mut |_, _| {}), Err(expected));
        assert_eq!(expected.to_string(), text);
    }
    check(&[0x0A, 5, 1], ScanError::Truncated { at: 1 }, "the message ends inside the field at byte 1");
    check(&[0x0A], ScanError::Truncated { at: 1 }, "the message ends inside the field at byte 1");
    check(&[0xFF; 10], ScanError::Varint { at: 0 }, "the varint at byte 0 is longer than 64 bits");
    check(&[0x02], ScanError::Key { at: 0, key: 2 }, "2 at byte 0 is no field's key");
    check(&[0x0E], ScanError::Key { at: 0, key: 14 }, "14 at byte 0 is no field's key");
    let above = padded((1 << 32) + 0x50, 0);
    check(&above, ScanError::Key { at: 0, key: 4_294_967_376 }, "4294967376 at byte 0 is no field's key");
    check(&[0x08, 1], ScanError::WireType { at: 0, field: 1, wire: 0 }, "field 1 at byte 0 has wire type 0");
    check(&[0x2A, 2, b'a', 0xFF], ScanError::Utf8 { at: 3 }, "the text is not UTF-8 from byte 3 on");
    check(&tag(40, 4), ScanError::Group { at: 2 }, "the end of a group at byte 2 matches no beginning");
}

fn in_request(span: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, span)))
}
