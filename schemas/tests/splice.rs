//! Marked spans and requests made of them, read back with prost.

mod support;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use spanseal_schemas::scan;
use spanseal_schemas::splice::{Mark, Origin, RequestBuilder, marked};
use support::wire::{Field, damaged, damages, field, messages, split, tag, try_split};

proptest! {
    #![proptest_config(support::cases(1000))]

    #[test]
    fn a_marked_span_decodes_to_the_span_and_its_marks(span in support::spans(), marks in marks()) {
        let spliced = mark(&span.encode_to_vec(), &marks);
        prop_assert_eq!(Span::decode(&*spliced).expect("it decodes").encode_to_vec(), expected(span, &marks).encode_to_vec());
    }

    #[test]
    fn every_other_field_keeps_its_bytes_and_place(span in support::spans(), strange in vec(messages(), 0..4),
                                                   marks in marks()) {
        let strange = strange.into_iter().filter(|field| try_split(field).is_some());
        let span = strange.fold(span.encode_to_vec(), |span, field| [field, span].concat());
        let spliced = mark(&span, &marks);
        let mut after = split(&spliced);
        let ours = after.split_off(after.len() - marks.len());
        let same: Vec<Field> = split(&span).into_iter().filter(goes_through).collect();
        after.retain(goes_through);
        prop_assert_eq!(after, same);
        prop_assert!(ours.iter().all(|field| field.number == 9));
        prop_assert_eq!(scan::span(&spliced, &mut |_, _| {}).is_ok(), scan::span(&span, &mut |_, _| {}).is_ok());
    }

    #[test]
    fn no_client_mark_survives(span in support::spans(), damages in damages()) {
        let span = damaged(span.encode_to_vec(), &damages);
        if scan::span(&span, &mut |_, _| {}).is_ok() {
            let spliced = Span::decode(&*mark(&span, &[])).expect("it decodes");
            prop_assert!(all_keys(&spliced).all(|key| !key.starts_with("spanseal.")));
        }
    }

    #[test]
    fn a_request_holds_each_span_with_its_origin(parts in vec((0..3usize, 0..3usize, support::spans()), 0..9),
                                                 resources in vec((support::resources(), word()), 3),
                                                 scopes in vec((support::scopes(), word()), 3), marks in marks()) {
        let resource_bytes: Vec<_> = resources.iter().map(|(resource, _)| resource.encode_to_vec()).collect();
        let scope_bytes: Vec<_> = scopes.iter().map(|(scope, _)| scope.encode_to_vec()).collect();
        let mut builder = RequestBuilder::new();
        let mut model = Model::default();
        let marks_given = given(&marks);
        for (resource, scope, span) in parts {
            let (resource_bytes, scope_bytes) = (&resource_bytes[resource], &scope_bytes[scope]);
            let ((resource, resource_schema_url), (scope, scope_schema_url)) = (&resources[resource], &scopes[scope]);
            let origin = Origin { resource: resource_bytes, resource_schema_url, scope: scope_bytes, scope_schema_url };
            builder.push(&origin, &span.encode_to_vec(), &marks_given);
            model.push((resource, resource_schema_url), (scope, scope_schema_url), expected(span, &marks));
        }
        prop_assert_eq!(builder.spans(), model.spans());
        let bound = builder.bytes();
        let request = builder.finish();
        prop_assert!(request.len() <= bound && bound <= request.len() + 18 * model.groups(), "{} {}", request.len(), bound);
        let decoded = ExportTraceServiceRequest::decode(&*request).expect("it decodes");
        prop_assert_eq!(decoded.encode_to_vec(), model.request().encode_to_vec());
        prop_assert_eq!((builder.spans(), builder.bytes(), builder.finish()), (0, 0, vec![]));
    }
}

#[test]
fn reserved_names_are_left_out_everywhere_backends_look() {
    let reserved = [field(1, b"spanseal.verdict"), field(2, &field(1, b"proven"))].concat();
    let other = [field(1, b"spansealed"), field(2, &field(1, b"kept"))].concat();
    let event = |attribute: &[u8]| field(11, &[field(2, b"e"), field(3, attribute), field(3, &other)].concat());
    let link = |attribute: &[u8]| field(13, &[field(1, &[1; 16]), field(4, attribute)].concat());
    let span = [field(9, &reserved), field(9, &other), event(&reserved), link(&reserved), event(&other)].concat();
    let left = [
        field(9, &other),
        field(11, &[field(2, b"e"), field(3, &other)].concat()),
        field(13, &field(1, &[1; 16])),
        event(&other),
    ]
    .concat();
    assert_eq!(mark(&span, &[]), left);

    let resource = [field(1, &reserved), field(1, &other)].concat();
    let scope = [field(1, b"name"), field(3, &reserved)].concat();
    let mut builder = RequestBuilder::new();
    builder.push(
        &Origin { resource: &resource, resource_schema_url: "", scope: &scope, scope_schema_url: "" },
        &span,
        &[],
    );
    let scope_spans = [field(1, &field(1, b"name")), field(2, &left)].concat();
    assert_eq!(builder.finish(), field(1, &[field(1, &field(1, &other)), field(2, &scope_spans)].concat()));
}

#[test]
fn origins_that_differ_in_one_part_are_apart() {
    let (one, other) = (field(1, &field(1, b"one")), field(1, &field(1, b"other")));
    let first = Origin { resource: &one, resource_schema_url: "a", scope: b"", scope_schema_url: "a" };
    let scope = field(1, b"name");
    let origins = [
        first,
        Origin { scope_schema_url: "b", ..first },
        Origin { scope: &scope, ..first },
        Origin { resource_schema_url: "b", ..first },
        Origin { resource: &other, ..first },
        first,
    ];
    let mut builder = RequestBuilder::new();
    for origin in &origins {
        builder.push(origin, &field(5, b"name"), &[]);
    }
    let request = ExportTraceServiceRequest::decode(&*builder.finish()).expect("it decodes");
    let spans = |group: &ResourceSpans| group.scope_spans.iter().map(|scope| scope.spans.len()).collect::<Vec<_>>();
    assert_eq!(request.resource_spans.iter().map(spans).collect::<Vec<_>>(), [vec![2, 1, 1], vec![1], vec![1]]);
}

#[test]
fn an_attribute_with_two_keys_is_reserved_if_either_is() {
    for keys in [["spanseal.verdict", "harmless"], ["harmless", "spanseal.verdict"]] {
        let attribute =
            [field(1, keys[0].as_bytes()), field(2, &field(1, b"x")), field(1, keys[1].as_bytes())].concat();
        assert_eq!(mark(&field(9, &attribute), &[]), b"");
    }
}

#[test]
fn marks_of_every_kind_decode() {
    let marks = [
        ("s", Mark::Str("")),
        ("long", Mark::Str(&"x".repeat(300))),
        ("i", Mark::Int(-1)),
        ("zero", Mark::Int(0)),
        ("t", Mark::Bool(true)),
        ("f", Mark::Bool(false)),
    ];
    let mut out = vec![0x30, 1];
    marked(&mut out, &[], &marks);
    let values: Vec<_> = Span::decode(&*out).expect("it decodes").attributes.into_iter().map(value_of).collect();
    assert_eq!(
        values,
        [
            Value::StringValue(String::new()),
            Value::StringValue("x".repeat(300)),
            Value::IntValue(-1),
            Value::IntValue(0),
            Value::BoolValue(true),
            Value::BoolValue(false),
        ]
    );
}

#[test]
fn broken_bytes_go_through_as_they_are() {
    for broken in [vec![0xFF], [field(9, b"\x0A\xFF"), tag(9, 2), vec![9]].concat()] {
        assert_eq!(mark(&broken, &[]), broken);
    }
}

/// A mark that owns its name and text.
type OwnedMark = (String, Value);

fn marks() -> impl Strategy<Value = Vec<OwnedMark>> {
    let values = prop_oneof![
        "\\PC{0,9}".prop_map(Value::StringValue),
        "[a-z]{120,260}".prop_map(Value::StringValue),
        any::<i64>().prop_map(Value::IntValue),
        any::<bool>().prop_map(Value::BoolValue),
    ];
    vec(("spanseal\\.[a-z]{1,9}", values), 0..5)
}

fn given(marks: &[OwnedMark]) -> Vec<(&str, Mark<'_>)> {
    let mark = |value| match value {
        &Value::IntValue(number) => Mark::Int(number),
        &Value::BoolValue(value) => Mark::Bool(value),
        Value::StringValue(text) => Mark::Str(text),
        other => panic!("{other:?} is no mark"),
    };
    marks.iter().map(|(name, value)| (name.as_str(), mark(value))).collect()
}

fn mark(span: &[u8], marks: &[OwnedMark]) -> Vec<u8> {
    let mut out = vec![7];
    marked(&mut out, span, &given(marks));
    out.split_off(1)
}

/// The span without reserved attributes, and with the marks.
fn expected(mut span: Span, marks: &[OwnedMark]) -> Span {
    strip(&mut span.attributes);
    span.events.iter_mut().for_each(|event| strip(&mut event.attributes));
    span.links.iter_mut().for_each(|link| strip(&mut link.attributes));
    span.attributes.extend(marks.iter().map(|(name, value)| KeyValue {
        key: name.clone(),
        value: Some(AnyValue { value: Some(value.clone()) }),
        key_strindex: 0,
    }));
    span
}

fn strip(attributes: &mut Vec<KeyValue>) {
    attributes.retain(|attribute| !attribute.key.starts_with("spanseal."));
}

fn all_keys(span: &Span) -> impl Iterator<Item = &str> {
    let events = span.events.iter().flat_map(|event| &event.attributes);
    let links = span.links.iter().flat_map(|link| &link.attributes);
    span.attributes.iter().chain(events).chain(links).map(|attribute| attribute.key.as_str())
}

/// Whether the field cannot hold an attribute with a reserved name.
fn goes_through(field: &Field) -> bool {
    match field.number {
        9 => !field.value.windows(9).any(|window| window == b"spanseal."),
        11 | 13 => false,
        _ => true,
    }
}

fn value_of(attribute: KeyValue) -> Value {
    attribute.value.and_then(|value| value.value).expect("a mark has a value")
}

fn word() -> impl Strategy<Value = String> {
    "[a-z]{0,3}"
}

/// What a request of the same spans should be.
#[derive(Default)]
struct Model(Vec<ResourceSpans>);

impl Model {
    fn push(&mut self, resource: (&Resource, &str), scope: (&InstrumentationScope, &str), span: Span) {
        // Groups are told apart before reserved attributes are left out, so they keep a mark of their own until the end.
        let wanted = (Some(resource.0.clone()), resource.1.to_owned());
        let place = self.0.iter().position(|group| same(&group.resource, &wanted.0) && group.schema_url == wanted.1);
        let place = place.unwrap_or_else(|| {
            self.0.push(ResourceSpans { resource: wanted.0, schema_url: wanted.1, scope_spans: vec![] });
            self.0.len() - 1
        });
        let scopes = &mut self.0[place].scope_spans;
        let wanted = (Some(scope.0.clone()), scope.1.to_owned());
        let place = scopes.iter().position(|group| same(&group.scope, &wanted.0) && group.schema_url == wanted.1);
        let place = place.unwrap_or_else(|| {
            scopes.push(ScopeSpans { scope: wanted.0, schema_url: wanted.1, spans: vec![] });
            scopes.len() - 1
        });
        scopes[place].spans.push(span);
    }

    fn spans(&self) -> usize {
        self.0.iter().flat_map(|resource| &resource.scope_spans).map(|scope| scope.spans.len()).sum()
    }

    fn groups(&self) -> usize {
        self.0.len() + self.0.iter().map(|resource| resource.scope_spans.len()).sum::<usize>()
    }

    fn request(self) -> ExportTraceServiceRequest {
        let mut resource_spans = self.0;
        for group in &mut resource_spans {
            group.resource.iter_mut().for_each(|resource| strip(&mut resource.attributes));
            group.resource = group.resource.take().filter(|resource| resource.encoded_len() > 0);
            for group in &mut group.scope_spans {
                group.scope.iter_mut().for_each(|scope| strip(&mut scope.attributes));
                group.scope = group.scope.take().filter(|scope| scope.encoded_len() > 0);
            }
        }
        ExportTraceServiceRequest { resource_spans }
    }
}

/// Whether two messages have the same bytes: NaN differs from itself.
fn same<M: Message>(one: &Option<M>, other: &Option<M>) -> bool {
    one.as_ref().map(Message::encode_to_vec) == other.as_ref().map(Message::encode_to_vec)
}
