//! The vectors of the protobuf form: each file is what is written here, and has the verdict that it states.
//!
//! `SPANSEAL_REGENERATE=1 cargo test -p spanseal-schemas --test vectors` writes them anew.

mod oracle;
mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64ct::{Base64, Encoding as _};
use oracle::canonical::encoded_again;
use prost::Message;
use serde::{Deserialize, Serialize};
use spanseal_schemas::canonical::{Refusal, check};
use spanseal_schemas::event::{
    Assessment, AssessmentEvent, Claim, ConflictEvent, Cut, ErasureEvent, EventRef, EvidenceEvent, FindingEvent, Grade,
    ResourceEvent, SpanEvent, Verdict, What,
};
use spanseal_schemas::kind;
use support::wire::{field, padded, split, tag};

/// One file.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Vector {
    name: String,
    /// What is right or wrong with it.
    what: String,
    kind: u8,
    /// Base64.
    body: String,
    /// `ok`, `not_canonical` or `unknown_version`.
    expect: String,
    /// The vector that says the same in canonical form, if this one says it in another.
    means: Option<String>,
}

#[test]
fn the_files_are_what_is_written_here_and_have_their_verdicts() {
    let vectors = [valid(), other_forms(), malformed(), other_versions()].concat();
    let mut names = BTreeSet::new();
    for case in &vectors {
        assert!(names.insert(format!("{}.json", case.name)), "{} stands twice", case.name);
        let vector = case.vector();
        let path = directory().join(format!("{}.json", case.name));
        if std::env::var_os("SPANSEAL_REGENERATE").is_some() {
            let text = serde_json::to_string_pretty(&vector).expect("it is plain text") + "\n";
            std::fs::write(&path, text).expect("the vector is writable");
        }
        let text = std::fs::read_to_string(&path).expect("the vector is there");
        let read: Vector = serde_json::from_str(&text).expect("the vector parses");
        assert_eq!(read, vector, "run SPANSEAL_REGENERATE=1 cargo test -p spanseal-schemas --test vectors");
        check_vector(&read, &vectors);
    }
    let files = std::fs::read_dir(directory()).expect("the vectors are there");
    let files = files.map(|file| file.expect("a file").file_name().into_string().expect("a plain name"));
    let files = files.filter(|name| name != "README.md");
    assert_eq!(files.collect::<BTreeSet<_>>(), names, "a file that no vector writes");
}

#[track_caller]
fn check_vector(vector: &Vector, all: &[Case]) {
    let body = Base64::decode_vec(&vector.body).expect("base64");
    let verdict = check(vector.kind, &body);
    let found = match &verdict {
        Ok(()) => "ok",
        Err(Refusal::UnknownVersion { .. }) => "unknown_version",
        Err(_) => "not_canonical",
    };
    assert_eq!(found, vector.expect, "{}: {verdict:?}", vector.name);
    if let Some(name) = &vector.means {
        let meant = all.iter().find(|case| case.name == *name).expect("the vector that it means");
        assert_eq!(encoded_again(vector.kind, &body), meant.body, "{} does not mean {name}", vector.name);
        assert_ne!(body, meant.body, "{} is {name}", vector.name);
    }
}

#[derive(Clone)]
struct Case {
    name: &'static str,
    what: &'static str,
    kind: u8,
    body: Vec<u8>,
    expect: &'static str,
    means: Option<&'static str>,
}

impl Case {
    fn vector(&self) -> Vector {
        Vector {
            name: self.name.to_owned(),
            what: self.what.to_owned(),
            kind: self.kind,
            body: Base64::encode_string(&self.body),
            expect: self.expect.to_owned(),
            means: self.means.map(str::to_owned),
        }
    }
}

fn valid() -> Vec<Case> {
    let ok = |name, what, kind, body| Case { name, what, kind, body, expect: "ok", means: None };
    let strange = [tag(900, 0), padded(5, 3), field(5, b"b"), field(5, b"a"), tag(40, 3), tag(40, 4)].concat();
    let nothing =
        FindingEvent { version: 1, events: vec![EventRef::default(), reference()], ..FindingEvent::default() };
    vec![
        ok("span", "Every field of a span event.", kind::SPAN, span().encode_to_vec()),
        ok("span_minimal", "A span event of a version and defaults.", kind::SPAN, vec![8, 1]),
        ok(
            "span_with_strange_bytes_inside",
            "Strictness ends at the received span: unknown fields, duplicates, padding and groups stay as they came.",
            kind::SPAN,
            SpanEvent { span: strange, ..span() }.encode_to_vec(),
        ),
        ok("resource", "Every field of a resource event.", kind::RESOURCE, resource().encode_to_vec()),
        ok("evidence", "Every field of an evidence event.", kind::EVIDENCE, evidence().encode_to_vec()),
        ok("assessment", "Every field of an assessment event.", kind::ASSESSMENT, assessed().encode_to_vec()),
        ok("conflict", "Every field of a conflict event.", kind::CONFLICT, conflict().encode_to_vec()),
        ok("finding", "Every field of a finding event.", kind::FINDING, finding().encode_to_vec()),
        ok("finding_of_event_0", "An empty embedded message is no default.", kind::FINDING, nothing.encode_to_vec()),
        ok("erasure", "Every field of an erasure event.", kind::ERASURE, erasure().encode_to_vec()),
    ]
}

/// What prost reads as one of the valid vectors, and is other bytes.
fn other_forms() -> Vec<Case> {
    [other_fields(), other_numbers(), other_embedded()].concat()
}

fn other(means: &'static str, kind: u8, name: &'static str, what: &'static str, body: Vec<u8>) -> Case {
    Case { name, what, kind, body, expect: "not_canonical", means: Some(means) }
}

/// Fields in another order, or more of them.
fn other_fields() -> Vec<Case> {
    let body = span().encode_to_vec();
    let of = |name, what, body| other("span", kind::SPAN, name, what, body);
    let with = |place, bytes| replaced(&body, place, bytes);
    let version_last = [&body[2..], &[8, 1]].concat();
    let unknown = [body.clone(), number(14, vec![1])].concat();
    let unknown_first = [number(100, vec![1]), body.clone()].concat();
    let group = [body.clone(), tag(14, 3), tag(14, 4)].concat();
    vec![
        of("fields_swapped", "Fields 3 and 4 in the other order.", swap(&body, 2)),
        of("version_last", "The version at the end.", version_last),
        of("field_twice", "Field 3 twice with the same value.", with(2, vec![24, 9, 24, 9])),
        of("field_overwritten", "Field 3 with another value before.", with(2, vec![24, 1, 24, 9])),
        of("default_overwritten", "Field 3 with its default before.", with(2, vec![24, 0, 24, 9])),
        of("unknown_field", "Field 14, which no version has.", unknown),
        of("unknown_field_first", "Field 100 before the version.", unknown_first),
        of("unknown_group", "An empty group.", group),
    ]
}

/// Numbers and lengths written otherwise, and defaults written out.
fn other_numbers() -> Vec<Case> {
    let body = span().encode_to_vec();
    let of = |name, what, body| other("span", kind::SPAN, name, what, body);
    let minimal =
        |name, what, rest: Vec<u8>| other("span_minimal", kind::SPAN, name, what, [vec![8, 1], rest].concat());
    let with = |place, bytes| replaced(&body, place, bytes);
    let last = split(&body).len() - 1;
    let payload = [tag(13, 2), padded(32, 1), vec![0xDD; 32]].concat();
    let offset = number(1, padded((1 << 32) + 10, 0));
    let cut = field(12, &[&offset, &span().cuts[0].encode_to_vec()[2..]].concat());
    let flag = replaced(&conflict().encode_to_vec(), 8, number(9, vec![2]));
    vec![
        of("value_padded", "A varint one byte longer than it need be.", with(2, number(3, padded(9, 1)))),
        of("key_padded", "A key one byte longer than it need be.", with(2, [padded(24, 1), vec![9]].concat())),
        of("length_padded", "A length one byte longer than it need be.", with(last, payload)),
        of("number_above_its_type", "A uint32 of 33 bits, of which protobuf reads the low 32.", with(11, cut)),
        of("enum_above_its_type", "An encoding of 33 bits.", with(6, number(7, padded((1 << 32) + 1, 0)))),
        other("conflict", kind::CONFLICT, "flag_of_two", "A bool of 2, which protobuf reads as true.", flag),
        minimal("default_written", "Field 3 with its default value.", number(3, vec![0])),
        minimal("time_default_written", "A time of 0 written out.", [tag(2, 1), vec![0; 8]].concat()),
        minimal("bytes_default_written", "Empty bytes written out.", field(11, b"")),
    ]
}

/// Embedded messages and packed numbers written otherwise.
fn other_embedded() -> Vec<Case> {
    let body = span().encode_to_vec();
    let of = |name, what, assessment| other("span", kind::SPAN, name, what, replaced(&body, 9, assessment));
    let assessment = |fields: &[&[u8]]| field(10, &fields.concat());
    let (verdict, grades, reasons) = (&number(1, vec![2])[..], &field(2, &grades())[..], &field(3, &[7, 9])[..]);
    let halves = [assessment(&[verdict, grades]), assessment(&[reasons])].concat();
    let references = [field(8, &field(1, &[0xAB; 16])), field(8, &number(2, vec![17]))].concat();
    let in_two = replaced(&conflict().encode_to_vec(), 7, references);
    vec![
        of("embedded_fields_swapped", "Grades before the verdict.", assessment(&[grades, verdict, reasons])),
        of("embedded_message_in_two", "The assessment in two occurrences, which protobuf merges.", halves),
        of("embedded_value_padded", "A padded verdict.", assessment(&[&number(1, padded(2, 1)), grades, reasons])),
        of("numbers_unpacked", "Reasons that are not packed.", assessment(&[verdict, grades, &[24, 7, 24, 9]])),
        of(
            "numbers_in_two_runs",
            "Reasons in two runs.",
            assessment(&[verdict, grades, &field(3, &[7]), &field(3, &[9])]),
        ),
        other("conflict", kind::CONFLICT, "reference_in_two", "A reference in two occurrences.", in_two),
    ]
}

fn number(number: u32, value: Vec<u8>) -> Vec<u8> {
    [tag(number, 0), value].concat()
}

/// What no reading makes canonical.
fn malformed() -> Vec<Case> {
    let bad = |name, what, kind, rest: Vec<u8>| {
        let body = [vec![8, 1], rest].concat();
        Case { name, what, kind, body, expect: "not_canonical", means: None }
    };
    let assessment = |field_number, content: &[u8]| field(10, &field(field_number, content));
    let mut truncated = span().encode_to_vec();
    truncated.pop();
    let whole = |name, what, body| Case { name, what, kind: kind::SPAN, body, expect: "not_canonical", means: None };
    vec![
        whole("empty", "No version.", vec![]),
        whole("version_missing", "Everything but a version.", span().encode_to_vec()[2..].to_vec()),
        whole("version_zero", "Version 0, which is a default.", vec![8, 0]),
        whole("version_padded", "A version one byte longer than it need be.", vec![8, 0x81, 0]),
        whole("truncated", "The last byte is missing.", truncated),
        bad("length_beyond_the_end", "A length of more bytes than there are.", kind::SPAN, vec![0x5A, 5, 1]),
        bad(
            "varint_of_eleven_bytes",
            "A varint that does not end.",
            kind::SPAN,
            [vec![24], vec![0x80; 10], vec![1]].concat(),
        ),
        bad("varint_above_64_bits", "A varint of 65 bits.", kind::SPAN, [vec![24], vec![0xFF; 9], vec![2]].concat()),
        bad("wire_type_of_another_field", "A varint where bytes belong.", kind::SPAN, vec![0x58, 1]),
        bad("wire_type_7", "A wire type that there is not.", kind::SPAN, vec![0x5F, 1]),
        bad("field_0", "A field number that there is not.", kind::SPAN, vec![0x02, 0]),
        bad("enum_without_a_name", "An encoding that event.proto does not name.", kind::SPAN, vec![0x38, 2]),
        bad("verdict_without_a_name", "A verdict that event.proto does not name.", kind::SPAN, field(10, &[8, 5])),
        bad("producer_of_15_bytes", "A producer is 16 bytes.", kind::SPAN, field(8, &[1; 15])),
        bad("payload_id_of_33_bytes", "A payload id is 32 bytes.", kind::SPAN, field(13, &[1; 33])),
        bad(
            "commitment_of_31_bytes",
            "A commitment is 32 bytes.",
            kind::SPAN,
            field(12, &[vec![8, 1, 16, 9], field(5, &[1; 31])].concat()),
        ),
        bad("grades_end_absent", "Trailing absent grades are left out.", kind::SPAN, assessment(2, &[1, 0])),
        bad("grade_5", "There are grades 0 to 4.", kind::SPAN, assessment(2, &[5])),
        bad("grades_of_twelve_claims", "There are eleven claims.", kind::SPAN, assessment(2, &[1; 12])),
        bad("reasons_fall", "Reasons ascend.", kind::SPAN, assessment(3, &[9, 7])),
        bad("reason_twice", "Reasons ascend strictly.", kind::SPAN, assessment(3, &[7, 7])),
        bad("reasons_empty", "An empty packed run.", kind::SPAN, assessment(3, &[])),
        bad("text_not_utf8", "A code that is not UTF-8.", kind::FINDING, field(3, &[b'a', 0xFF])),
        bad("text_surrogate", "UTF-8 of a surrogate, which is none.", kind::FINDING, field(3, &[0xED, 0xA0, 0x80])),
        bad("text_empty", "An empty text written out.", kind::FINDING, field(3, b"")),
        bad("nonce_of_8_bytes", "A nonce is 16 bytes.", kind::RESOURCE, field(2, &[1; 8])),
        bad("what_without_a_name", "A kind of resource that event.proto does not name.", kind::RESOURCE, vec![24, 5]),
        bad("chunk_above_32_bits", "A uint32 of 33 bits.", kind::EVIDENCE, [vec![40], padded(1 << 32, 0)].concat()),
        bad("subject_of_15_bytes", "A subject id is 16 bytes.", kind::ERASURE, field(3, &[1; 15])),
        bad(
            "span_where_a_resource_belongs",
            "The fields of another kind.",
            kind::RESOURCE,
            span().encode_to_vec()[2..].to_vec(),
        ),
    ]
}

fn other_versions() -> Vec<Case> {
    let unknown = |name, what, kind, body| Case { name, what, kind, body, expect: "unknown_version", means: None };
    let huge = [vec![8], padded(u64::MAX, 0)].concat();
    vec![
        unknown("version_2", "The next version.", kind::SPAN, vec![8, 2]),
        unknown(
            "version_2_with_anything",
            "The rest of another version is not judged.",
            kind::RESOURCE,
            vec![8, 2, 0xFF, 0, 0xFF],
        ),
        unknown("version_of_64_bits", "The last version that there can be.", kind::FINDING, huge),
    ]
}

/// Returns the body with the field at a place replaced.
fn replaced(body: &[u8], place: usize, bytes: Vec<u8>) -> Vec<u8> {
    let mut fields: Vec<Vec<u8>> = split(body).into_iter().map(|field| field.bytes).collect();
    fields[place] = bytes;
    fields.concat()
}

/// Returns the body with the field at a place and the one after it swapped.
fn swap(body: &[u8], place: usize) -> Vec<u8> {
    let mut fields: Vec<Vec<u8>> = split(body).into_iter().map(|field| field.bytes).collect();
    fields.swap(place, place + 1);
    fields.concat()
}

fn grades() -> Vec<u8> {
    let mut grades = vec![Grade::Absent as u8; Claim::Policy as usize + 1];
    grades[Claim::Actor as usize] = Grade::Verified as u8;
    grades[Claim::Policy as usize] = Grade::Asserted as u8;
    grades
}

fn assessment() -> Assessment {
    Assessment { verdict: Verdict::Unproven as i32, grades: grades(), reasons: vec![7, 9] }
}

fn reference() -> EventRef {
    EventRef { stream: vec![0xAB; 16], index: 17 }
}

fn cuts() -> Vec<Cut> {
    vec![
        Cut { offset: 10, length: 700, path: vec![9, 2, 1], fields: false, commitment: vec![0xC0; 32] },
        Cut { offset: 710, length: 3, path: vec![], fields: true, commitment: vec![0xC1; 32] },
    ]
}

fn span() -> SpanEvent {
    SpanEvent {
        version: 1,
        received_unix_nano: 1_790_000_000_000_000_000,
        resource: 9,
        scope: 300,
        tenant: 3,
        configuration: 2,
        encoding: 1,
        producer: vec![0x11; 16],
        producer_sequence: 5,
        assessment: Some(assessment()),
        span: [field(1, &[0x5A; 16]), field(2, &[0xA5; 8]), field(5, b"execute_tool")].concat(),
        cuts: cuts(),
        payloads: vec![vec![0xDD; 32]],
    }
}

fn resource() -> ResourceEvent {
    ResourceEvent {
        version: 1,
        nonce: vec![0x22; 16],
        what: What::Configuration as i32,
        tenant: "acme".into(),
        peer: "mtls:spiffe://acme.example/agent/deployer".into(),
        schema_url: "https://opentelemetry.io/schemas/1.43.0".into(),
        content: b"content".to_vec(),
        cuts: cuts(),
        payloads: vec![vec![0xDD; 32], vec![0xEE; 32]],
    }
}

fn evidence() -> EvidenceEvent {
    EvidenceEvent {
        version: 1,
        tenant: "acme".into(),
        media_type: "application/jwk-set+json".into(),
        digest: vec![0x33; 32],
        chunk: 1,
        chunks: 2,
        content: b"{}".to_vec(),
    }
}

fn assessed() -> AssessmentEvent {
    AssessmentEvent {
        version: 1,
        assessed_unix_nano: 1_790_000_000_000_000_000,
        event: Some(reference()),
        assessment: Some(assessment()),
        configuration: 2,
    }
}

fn conflict() -> ConflictEvent {
    ConflictEvent {
        version: 1,
        received_unix_nano: 1_790_000_000_000_000_000,
        resource: 9,
        scope: 300,
        tenant: 3,
        configuration: 2,
        encoding: 1,
        first: Some(reference()),
        variant: true,
        span: field(5, b"execute_tool"),
        cuts: cuts(),
        payloads: vec![vec![0xDD; 32]],
    }
}

fn finding() -> FindingEvent {
    FindingEvent {
        version: 1,
        found_unix_nano: 1_790_000_000_000_000_000,
        code: "span_refused".into(),
        message: "the text is not UTF-8 from byte 12 on".into(),
        tenant: "acme".into(),
        spans: 1,
        events: vec![reference(), EventRef { stream: vec![], index: 4 }],
    }
}

fn erasure() -> ErasureEvent {
    ErasureEvent {
        version: 1,
        erased_unix_nano: 1_790_000_000_000_000_000,
        subject_id: vec![0x44; 16],
        requested_by: "user:anna".into(),
        legal_basis: "GDPR article 17".into(),
    }
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}
