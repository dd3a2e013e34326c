//! Everything that must hold of any body.

use prost::Message;
use spanseal_schemas::canonical;
use spanseal_schemas::envelope::view;
use spanseal_schemas::event::{
    AssessmentEvent, ConflictEvent, ErasureEvent, EvidenceEvent, FindingEvent, ResourceEvent, SpanEvent,
};
use spanseal_schemas::kind;

/// Says whether the body is accepted, having checked that there is no other encoding of what it says.
#[track_caller]
pub(crate) fn check(kind: u8, body: &[u8]) -> bool {
    let accepted = canonical::check(kind, body).is_ok();
    let view = view(body);
    if accepted {
        assert_eq!(encoded_again(kind, body), body, "kind {kind}");
        assert!(kind != kind::SPAN || view.is_ok(), "{view:?} of {body:02x?}");
    }
    accepted
}

/// Returns what prost makes of a body: the same bytes, if there is one encoding only.
pub(crate) fn encoded_again(kind: u8, body: &[u8]) -> Vec<u8> {
    fn again<M: Message + Default>(body: &[u8]) -> Vec<u8> {
        M::decode(body).expect("a canonical body decodes").encode_to_vec()
    }
    match kind {
        kind::SPAN => again::<SpanEvent>(body),
        kind::RESOURCE => again::<ResourceEvent>(body),
        kind::EVIDENCE => again::<EvidenceEvent>(body),
        kind::ASSESSMENT => again::<AssessmentEvent>(body),
        kind::CONFLICT => again::<ConflictEvent>(body),
        kind::FINDING => again::<FindingEvent>(body),
        kind::ERASURE => again::<ErasureEvent>(body),
        _ => body.to_vec(),
    }
}
