//! One verdict for each way to change the structure of a data directory, by both verifiers.

use serde_json::json;

use crate::differential::Pair;
use crate::tamper::{Base, ROOT, Segment, Tree, first_of, folder, record};

#[tokio::test]
async fn each_change_of_the_structure_has_its_verdict() {
    let (mut pair, base) = (Pair::new(), Base::make().await);
    let streams = base.streams.map(folder);
    let mut wrong = Vec::new();
    for case in cases(&base) {
        let mut tree = base.tree.clone();
        (case.change)(&mut tree);
        let (rust, python) = pair.verify(&tree, base.now);
        let stream = case.log.strip_prefix("streams/");
        let named = json!({"code": case.code, "stream": stream, "index": case.index});
        let complete = streams.each_ref().map(|stream| rust.complete.contains_key(&stream["streams/".len()..]));
        let agrees = python.as_ref().is_none_or(|python| *python == rust);
        if (rust.exit, &rust.named, complete) != (case.exit, &named, case.complete) || !agrees {
            let expected = (case.exit, named, case.complete);
            wrong.push(format!("{}: expected {expected:?}\n  rust {rust:?}\n  python {python:?}", case.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

struct Case {
    what: &'static str,
    change: Box<dyn Fn(&mut Tree)>,
    exit: u64,
    code: &'static str,
    log: String,
    index: Option<u64>,
    /// Whether each stream is complete to its pin all the same.
    complete: [bool; 2],
}

fn cases(base: &Base) -> Vec<Case> {
    [damage(base), headers(base), root_log(base), superseded(base), records(base)].into_iter().flatten().collect()
}

/// Changes a segment and writes its CRCs again.
fn segment(name: &str, change: impl Fn(&mut Segment) + 'static) -> Box<dyn Fn(&mut Tree)> {
    let name = name.to_owned();
    Box::new(move |tree| {
        let mut segment = Segment::open(&name, &tree.files[&name]);
        change(&mut segment);
        tree.files.insert(name.clone(), segment.write());
    })
}

fn tampered(what: &'static str, change: Box<dyn Fn(&mut Tree)>, code: &'static str, log: &str, index: u64) -> Case {
    let complete = [log == ROOT, true];
    Case { what, change, exit: 1, code, log: log.to_owned(), index: Some(index), complete }
}

/// The streams' segments; the first stream's pin lies at its end.
fn damage(base: &Base) -> Vec<Case> {
    let log = folder(base.streams[0]);
    let names = base.tree.segments(&log);
    let (second, third) = (first_of(&names[1]), first_of(&names[2]));
    let broken = names[1].clone();
    vec![
        tampered(
            "a record cannot be read; the frontier in the next header does not stand in for its events",
            Box::new(move |tree| {
                let bytes = tree.files.get_mut(&broken).unwrap();
                let place = Segment::open(&broken, bytes).header.len() + 4 + 20;
                bytes[place] ^= 1;
            }),
            "damaged",
            &log,
            second,
        ),
        tampered(
            "the last segment is empty, and what it superseded is not held there",
            segment(&names[2], |segment| segment.records.clear()),
            "damaged",
            &log,
            third,
        ),
        tampered(
            "a segment in the middle is empty",
            segment(&names[1], |segment| segment.records.clear()),
            "index_gap",
            &log,
            second,
        ),
    ]
}

fn headers(base: &Base) -> Vec<Case> {
    let log = folder(base.streams[0]);
    let names = base.tree.segments(&log);
    let (name, first) = (&names[1], first_of(&names[1]));
    let other = base.streams[1];
    let held = |what, change: Box<dyn Fn(&mut Tree)>, code| Case {
        complete: [true, true],
        ..tampered(what, change, code, &log, first)
    };
    vec![
        held("a header with another frontier", segment(name, |segment| segment.header[80] ^= 1), "damaged"),
        held("a header with another last seal", segment(name, |segment| segment.header[50] ^= 1), "damaged"),
        held("a header of another version", segment(name, |segment| segment.header[15] = b'2'), "damaged"),
        held("a header of another index", segment(name, |segment| segment.header[39] ^= 3), "damaged"),
        held(
            "a header of another stream",
            segment(name, move |segment| segment.header[16..32].copy_from_slice(&other.0)),
            "wrong_stream",
        ),
    ]
}

fn root_log(base: &Base) -> Vec<Case> {
    let names = base.tree.segments(ROOT);
    let (name, first) = (names[1].clone(), first_of(&names[1]));
    let (stream, gone) = (base.streams[0], names[1].clone());
    let fault = |what, change, code, index| tampered(what, change, code, ROOT, index);
    let size = base.sizes[0].2;
    let all_gone = Case {
        index: None,
        complete: [false, false],
        ..fault(
            "the root log is gone",
            Box::new(|tree| tree.files.retain(|name, _| !name.starts_with(ROOT))),
            "truncated",
            0,
        )
    };
    vec![
        fault("its header has another frontier", segment(&name, |segment| segment.header[80] ^= 1), "damaged", first),
        fault("its header names a seal", segment(&name, |segment| segment.header[50] ^= 1), "damaged", first),
        fault(
            "its header names a stream",
            segment(&name, move |segment| segment.header[16..32].copy_from_slice(&stream.0)),
            "wrong_stream",
            first,
        ),
        Case {
            complete: [false, true],
            ..fault(
                "a record of a stream stands in it",
                segment(&name, |segment| segment.records[0].0 = 1),
                "damaged",
                first,
            )
        },
        Case {
            complete: [true, false],
            ..fault("a segment is gone", Box::new(move |tree| _ = tree.files.remove(&gone)), "damaged", first + 2)
        },
        fault("its last leaf is gone", segment(&names[2], |segment| _ = segment.records.pop()), "truncated", size - 1),
        Case { index: Some(0), ..all_gone },
    ]
}

/// The first segment of each log ends in records that the second has again, and in a torn one.
fn superseded(base: &Base) -> Vec<Case> {
    let log = folder(base.streams[1]);
    let names = base.tree.segments(&log);
    let limit = first_of(&names[1]);
    let last = |change: fn(&mut Vec<u8>)| {
        segment(&names[0], move |segment| change(&mut segment.records.last_mut().unwrap().1))
    };
    let open = Segment::open(&names[0], &base.tree.files[&names[0]]);
    let index = u64::from_be_bytes(*open.records.last().unwrap().1[40..].first_chunk().unwrap());
    let held = |case| Case { complete: [true, true], ..case };
    let root_names = base.tree.segments(ROOT);
    let root_limit = first_of(&root_names[1]);
    vec![
        held(tampered(
            "a superseded event is another",
            last(|body| *body.last_mut().unwrap() ^= 1),
            "damaged",
            &log,
            index,
        )),
        held(tampered("a superseded seal is another", last(|body| body[125] ^= 1), "damaged", &log, index)),
        held(tampered(
            "superseded records are swapped",
            segment(&names[0], |segment| {
                let end = segment.records.len();
                segment.records.swap(end - 1, end - 2);
            }),
            "damaged",
            &log,
            limit,
        )),
        held(tampered(
            "the last superseded root leaf is another",
            segment(&root_names[0], |segment| segment.records.last_mut().unwrap().1[30] ^= 1),
            "damaged",
            ROOT,
            root_limit + 1,
        )),
        held(tampered(
            "the last batch before the limit stands twice",
            segment(&names[0], move |segment| {
                let first = |body: &Vec<u8>| u64::from_be_bytes(*body[40..].first_chunk().unwrap());
                let place = segment.records.iter().rposition(|(_, body)| first(body) < limit).unwrap();
                segment.records.insert(place, segment.records[place].clone());
            }),
            "repeated_batch",
            &log,
            last_before(&open, limit),
        )),
    ]
}

fn last_before(segment: &Segment, limit: u64) -> u64 {
    let firsts = segment.records.iter().map(|(_, body)| u64::from_be_bytes(*body[40..].first_chunk().unwrap()));
    firsts.filter(|first| *first < limit).max().unwrap()
}

fn records(base: &Base) -> Vec<Case> {
    let log = folder(base.streams[0]);
    let names = base.tree.segments(&log);
    let third = names[2].clone();
    let size = base.sizes[1].2;
    let payload =
        |name: &&String| Segment::open(name, &base.tree.files[*name]).records.iter().any(|(kind, _)| *kind == 2);
    let with_payload = names.iter().rfind(payload).unwrap();
    let end = names.iter().position(|name| name == with_payload).and_then(|place| names.get(place + 1));
    let held = |case| Case { complete: [true, true], ..case };
    vec![
        held(tampered(
            "a payload record stands again, before a batch",
            segment(with_payload, |segment| {
                let place = segment.records.iter().position(|(kind, _)| *kind == 2).unwrap();
                segment.records.insert(place, segment.records[place].clone());
            }),
            "payload_mismatch",
            &log,
            end.map_or(size, |name| first_of(name)),
        )),
        held(tampered(
            "a record of an unknown type follows the last batch",
            Box::new(move |tree| tree.files.get_mut(&third).unwrap().extend(record(9, b"x"))),
            "damaged",
            &log,
            size,
        )),
    ]
}
