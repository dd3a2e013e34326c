//! What is written on a forwarded span: where it is sealed, the verdict, and the claims in readable form.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use spanseal_authority::Reason;
use spanseal_authority::claims::Claims;
use spanseal_authority::mirrors::{Mirror, mirrors};
use spanseal_ledger::{EventId, Hash};
use spanseal_schemas::event::{Assessment, Verdict};
use spanseal_schemas::names;
use spanseal_schemas::scan::{self, AnyValue};
use spanseal_schemas::splice::Mark;

use crate::text::hex;

/// Attributes for one span: at most [`MARKS_MAX`], each value at most [`VALUE_BYTES_MAX`] bytes.
///
/// Some backends lose or hide what is longer or of another type than text, number or boolean (design.md section 6).
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Marks(Vec<(&'static str, Value)>);

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Int(i64),
}

/// What the marks of one span are made from.
pub(super) struct Sealed<'a> {
    pub(super) event: EventId,
    pub(super) leaf: Hash,
    pub(super) assessment: Option<&'a Assessment>,
    pub(super) cuts: usize,
    /// The span, readable.
    pub(super) span: &'a [u8],
    pub(super) event_url: Option<&'a str>,
}

impl Marks {
    pub(super) fn new(sealed: &Sealed<'_>) -> Self {
        let mut marks = Self::default();
        marks.text(names::SPANSEAL_EVENT, &sealed.event.to_string());
        marks.text(names::SPANSEAL_HASH, &hex(&sealed.leaf));
        if let Some(url) = sealed.event_url {
            marks.text(names::SPANSEAL_URL, &url.replace("{event}", &sealed.event.to_string()));
        }
        if sealed.cuts > 0 {
            marks.0.push((names::SPANSEAL_CUTS, Value::Int(i64::try_from(sealed.cuts).unwrap_or(i64::MAX))));
        }
        if let Some(assessment) = sealed.assessment {
            marks.assessment(assessment);
            marks.claims(sealed.span);
        }
        marks.0.truncate(MARKS_MAX);
        marks
    }

    /// Returns the marks as the request builder takes them.
    pub(super) fn list(&self) -> Vec<(&str, Mark<'_>)> {
        let mark = |value| match value {
            &Value::Int(number) => Mark::Int(number),
            Value::Text(text) => Mark::Str(text),
        };
        self.0.iter().map(|(key, value)| (*key, mark(value))).collect()
    }

    /// Returns about how many bytes the marks take in a span.
    pub(super) fn bytes(&self) -> usize {
        let value = |value: &Value| if let Value::Text(text) = value { text.len() } else { 8 };
        self.0.iter().map(|(key, held)| key.len() + value(held) + FRAME_BYTES).sum()
    }

    fn assessment(&mut self, assessment: &Assessment) {
        if let Some(verdict) = verdict_name(assessment.verdict) {
            self.text(names::SPANSEAL_VERDICT, verdict);
        }
        let reasons: Vec<String> = assessment.reasons.iter().map(|code| reason_name(*code)).collect();
        if !reasons.is_empty() {
            self.text(names::SPANSEAL_REASONS, &reasons.join(","));
        }
    }

    /// Adds the signed claims for people to read, but for those that the span carries in readable form itself, and for
    /// lists: not every backend takes those.
    fn claims(&mut self, span: &[u8]) {
        let mut token = None;
        let mut said: HashSet<String> = HashSet::new();
        let scanned = scan::span(span, &mut |key, value| match value {
            AnyValue::String(text) if key == names::PROVENANCE_CLAIMS => token = Some(text.to_owned()),
            _ if key.starts_with("provenance.") || key == names::GEN_AI_TOOL_NAME => drop(said.insert(key.to_owned())),
            _ => {}
        });
        let Some(claims) = scanned.ok().and(token).and_then(|token| Claims::read_unverified(&token).ok()) else {
            return;
        };
        mirrors(&claims, &mut |key, mirror| match mirror {
            Mirror::Text(text) if said.insert(key.to_owned()) => self.text(key, text),
            _ => {}
        });
    }

    fn text(&mut self, key: &'static str, text: &str) {
        let whole = text.len() <= VALUE_BYTES_MAX;
        let held = if whole { text.to_owned() } else { format!("sha256:{}", hex(&Sha256::digest(text))) };
        self.0.push((key, Value::Text(held)));
    }
}

fn verdict_name(verdict: i32) -> Option<&'static str> {
    match Verdict::try_from(verdict).ok()? {
        Verdict::NoAction => None,
        Verdict::Proven => Some("proven"),
        Verdict::Unproven => Some("unproven"),
        Verdict::Violated => Some("violated"),
        Verdict::Pending => Some("pending"),
    }
}

/// A reason of a later version is given by its number.
fn reason_name(code: u32) -> String {
    let known = Reason::ALL.iter().find(|reason| u32::from(reason.code()) == code);
    known.map_or_else(|| code.to_string(), |reason| reason.name().to_owned())
}

const MARKS_MAX: usize = 20;
const VALUE_BYTES_MAX: usize = 255;
/// Tags and lengths of one attribute.
const FRAME_BYTES: usize = 12;

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as OtlpValue;
    use opentelemetry_proto::tonic::common::v1::{AnyValue as OtlpAnyValue, KeyValue};
    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message;
    use spanseal_authority::action::Action;
    use spanseal_authority::claims::{Business, Party};
    use spanseal_authority::key::SigningKey;
    use spanseal_ledger::StreamId;

    use super::*;

    fn claims() -> Claims {
        let text = |text: &str| Some(text.to_owned());
        let action =
            Action { kind: "ticket.update".into(), target: text("T-1"), tool: None, arguments: None, salt: [0; 16] };
        Claims {
            audience: "a".into(),
            issued_at: 0,
            producer: [1; 16],
            sequence: 1,
            clearance: [2; 16],
            trace: [3; 16],
            span: [4; 8],
            owner: text("team:a"),
            business: Business { ticket: text("T-1"), ..Business::default() },
            ..Claims::bare(Party { id: "x".repeat(300), kind: "agent".into() }, action)
        }
    }

    fn span(attributes: &[(&str, &str)]) -> Vec<u8> {
        let attribute = |(key, value): &(&str, &str)| KeyValue {
            key: (*key).to_owned(),
            value: Some(OtlpAnyValue { value: Some(OtlpValue::StringValue((*value).to_owned())) }),
            ..KeyValue::default()
        };
        Span { attributes: attributes.iter().map(attribute).collect(), ..Span::default() }.encode_to_vec()
    }

    fn marks(assessment: Option<&Assessment>, span: &[u8]) -> Marks {
        let event = EventId { stream: StreamId([0xab; 16]), index: 17 };
        Marks::new(&Sealed { event, leaf: [1; 32], assessment, cuts: 0, span, event_url: None })
    }

    fn keys(marks: &Marks) -> Vec<&str> {
        marks.list().iter().map(|(key, _)| *key).collect()
    }

    #[test]
    fn says_no_more_than_the_place_of_a_span_that_is_no_action() {
        assert_eq!(keys(&marks(None, &span(&[]))), ["spanseal.event", "spanseal.hash"]);
    }

    #[test]
    fn says_the_verdict_its_reasons_and_the_claims_that_the_span_does_not_say_readably() {
        let token = claims().sign(&SigningKey::from_seed(&[1; 32]));
        let span = span(&[("provenance.claims", &token), ("provenance.owner.id", "team:a")]);
        let reasons = vec![Reason::ClaimsAbsent.code().into(), 65_000];
        let assessment = Assessment { verdict: Verdict::Violated as i32, grades: Vec::new(), reasons };
        let marks = marks(Some(&assessment), &span);
        let expected = [
            "spanseal.event",
            "spanseal.hash",
            "spanseal.verdict",
            "spanseal.reasons",
            "provenance.actor.id",
            "provenance.action.type",
            "provenance.action.target",
            "provenance.business.ticket",
            "provenance.actor.type",
        ];
        assert_eq!(keys(&marks), expected);
        assert_eq!(marks.list()[3].1, Mark::Str("claims_absent,65000"));
        let Mark::Str(actor) = marks.list()[4].1 else { panic!("no text") };
        assert!(actor.starts_with("sha256:") && actor.len() == 71, "too long for some backends: {actor}");
    }
}
