//! Events in canonical form, of every protobuf kind.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use spanseal_schemas::event::{
    Assessment, AssessmentEvent, ConflictEvent, Cut, ErasureEvent, EventRef, EvidenceEvent, FindingEvent,
    ResourceEvent, SpanEvent,
};
use spanseal_schemas::kind;

/// The kind and body of an event.
pub(crate) fn events() -> impl Strategy<Value = (u8, Vec<u8>)> {
    prop_oneof![
        3 => span_events().prop_map(|event| (kind::SPAN, event.encode_to_vec())),
        1 => resource_events().prop_map(|event| (kind::RESOURCE, event.encode_to_vec())),
        1 => evidence_events().prop_map(|event| (kind::EVIDENCE, event.encode_to_vec())),
        1 => assessment_events().prop_map(|event| (kind::ASSESSMENT, event.encode_to_vec())),
        1 => conflict_events().prop_map(|event| (kind::CONFLICT, event.encode_to_vec())),
        1 => finding_events().prop_map(|event| (kind::FINDING, event.encode_to_vec())),
        1 => erasure_events().prop_map(|event| (kind::ERASURE, event.encode_to_vec())),
    ]
}

pub(crate) fn span_events() -> impl Strategy<Value = SpanEvent> {
    let places = (number(), number(), number(), number());
    let producer = prop::option::of((vec(any::<u8>(), 16), 1..u64::MAX));
    (any::<u64>(), places, 0..2i32, producer, prop::option::of(assessments()), content(), cuts(), digests()).prop_map(
        |(received_unix_nano, places, encoding, producer, assessment, span, cuts, payloads)| {
            let (resource, scope, tenant, configuration) = places;
            let (producer, producer_sequence) = producer.unwrap_or_default();
            SpanEvent {
                version: 1,
                received_unix_nano,
                resource,
                scope,
                tenant,
                configuration,
                encoding,
                producer,
                producer_sequence,
                assessment,
                span,
                cuts,
                payloads,
            }
        },
    )
}

fn resource_events() -> impl Strategy<Value = ResourceEvent> {
    (vec(any::<u8>(), 16), 0..5i32, word(), word(), word(), content(), cuts(), digests()).prop_map(
        |(nonce, what, tenant, peer, schema_url, content, cuts, payloads)| ResourceEvent {
            version: 1,
            nonce,
            what,
            tenant,
            peer,
            schema_url,
            content,
            cuts,
            payloads,
        },
    )
}

fn evidence_events() -> impl Strategy<Value = EvidenceEvent> {
    (word(), word(), vec(any::<u8>(), 32), any::<u32>(), any::<u32>(), content()).prop_map(
        |(tenant, media_type, digest, chunk, chunks, content)| EvidenceEvent {
            version: 1,
            tenant,
            media_type,
            digest,
            chunk,
            chunks,
            content,
        },
    )
}

fn assessment_events() -> impl Strategy<Value = AssessmentEvent> {
    (any::<u64>(), prop::option::of(references()), prop::option::of(assessments()), number()).prop_map(
        |(assessed_unix_nano, event, assessment, configuration)| AssessmentEvent {
            version: 1,
            assessed_unix_nano,
            event,
            assessment,
            configuration,
        },
    )
}

fn conflict_events() -> impl Strategy<Value = ConflictEvent> {
    let places = (number(), number(), number(), number());
    (any::<u64>(), places, 0..2i32, prop::option::of(references()), any::<bool>(), content(), cuts(), digests())
        .prop_map(|(received_unix_nano, places, encoding, first, variant, span, cuts, payloads)| {
            let (resource, scope, tenant, configuration) = places;
            ConflictEvent {
                version: 1,
                received_unix_nano,
                resource,
                scope,
                tenant,
                configuration,
                encoding,
                first,
                variant,
                span,
                cuts,
                payloads,
            }
        })
}

fn finding_events() -> impl Strategy<Value = FindingEvent> {
    (any::<u64>(), word(), word(), word(), number(), vec(references(), 0..3)).prop_map(
        |(found_unix_nano, code, message, tenant, spans, events)| FindingEvent {
            version: 1,
            found_unix_nano,
            code,
            message,
            tenant,
            spans,
            events,
        },
    )
}

fn erasure_events() -> impl Strategy<Value = ErasureEvent> {
    (any::<u64>(), vec(any::<u8>(), 16), word(), word()).prop_map(
        |(erased_unix_nano, subject_id, requested_by, legal_basis)| ErasureEvent {
            version: 1,
            erased_unix_nano,
            subject_id,
            requested_by,
            legal_basis,
        },
    )
}

fn references() -> impl Strategy<Value = EventRef> {
    (prop_oneof![Just(vec![]), vec(any::<u8>(), 16)], number()).prop_map(|(stream, index)| EventRef { stream, index })
}

pub(crate) fn assessments() -> impl Strategy<Value = Assessment> {
    (0..5i32, vec(0..5u8, 0..12), prop::collection::btree_set(any::<u32>(), 0..4)).prop_map(
        |(verdict, mut grades, reasons)| {
            while grades.last() == Some(&0) {
                grades.pop();
            }
            Assessment { verdict, grades, reasons: reasons.into_iter().collect() }
        },
    )
}

/// Cuts that ascend and do not overlap.
fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let one = (0..300u32, 3..70_000u32, vec(0..20u32, 0..4), any::<bool>(), vec(any::<u8>(), 32));
    vec(one, 0..3).prop_map(|cuts| {
        let mut end = 0;
        let place = |(gap, length, path, fields, commitment)| {
            let offset = end + gap;
            end = offset + length;
            Cut { offset, length, path, fields, commitment }
        };
        cuts.into_iter().map(place).collect()
    })
}

fn digests() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 32), 0..3)
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 120..300)]
}

fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..65u32).prop_map(|(value, shift)| value.checked_shr(shift).unwrap_or(0))
}

fn word() -> impl Strategy<Value = String> {
    "\\PC{0,5}"
}
