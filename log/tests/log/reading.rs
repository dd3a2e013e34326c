//! What a reader makes of logs: sound ones from any index, and all that can be wrong with one.

use std::io::ErrorKind;
use std::sync::Arc;

use proptest::prelude::*;
use spanseal_log::{
    Access, Committed, Fault, Item, Memory, Options, Owner, Place, Reader, RecordKind, SegmentStart, Storage as _,
    Writer, read_batch_at, read_record_at, record, recover,
};

use crate::support::{Group, Maker, SMALL, STREAM, Spot, describe, memory, outline, write};

/// A log of three segments: batches 0+4, 4+30, 34+2 | 36+40, 76+1 | 77+9.
fn three_segments(owner: Owner) -> (Memory, Spot) {
    let memory = memory();
    let spot = Spot::in_memory(&memory, owner);
    let mut writer =
        Writer::open_with(Arc::clone(&spot.storage), &spot.dir, owner, SegmentStart::empty(), SMALL).unwrap();
    let mut maker = Maker::at(owner, SegmentStart::empty(), 1);
    for (counts, events) in [(&[4][..], 40), (&[30, 2], 40), (&[40], 40), (&[1], 40), (&[9], 200)] {
        assert_eq!(write(&mut writer, &maker.group(counts, events)).unwrap(), Committed::Appended);
    }
    (memory, spot)
}

/// Writes a segment by hand, in place of any other.
fn put(spot: &Spot, memory: &Memory, start: &SegmentStart, records: &[&[u8]]) {
    let path = spot.path(start.first);
    for dir in [spot.dir.parent().unwrap(), &spot.dir] {
        // It may be there.
        let _ = memory.create_dir(dir, Access::Shared);
    }
    let _ = memory.create(&path);
    memory.overwrite(&path, &[&start.encode(&spot.owner)[..], &records.concat()].concat()).unwrap();
}

fn encode(group: &Group) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, body) in &group.records {
        record::append_with(&mut out, *kind, |out| out.extend_from_slice(body)).unwrap();
    }
    out
}

#[test]
fn reads_segments_one_after_the_other() {
    let (_, spot) = three_segments(STREAM);
    let expected = [
        "segment 0",
        "payload",
        "batch 0+4",
        "payload",
        "batch 4+30",
        "batch 34+2",
        "segment 36",
        "payload",
        "batch 36+40",
        "payload",
        "batch 76+1",
        "segment 77",
        "payload",
        "batch 77+9",
    ];
    assert_eq!(outline(&spot, 0), expected);
}

#[test]
fn begins_with_the_batch_that_has_the_index_and_its_payloads() {
    let (_, spot) = three_segments(STREAM);
    for (from, expected) in [
        (3, "payload, batch 0+4"),
        (4, "payload, batch 4+30"),
        (33, "payload, batch 4+30"),
        (34, "batch 34+2"),
        (36, "segment 36"),
        (37, "segment 36"),
        (76, "payload, batch 76+1"),
        (77, "segment 77"),
        (86, ""),
        (1_000, ""),
    ] {
        let outline = outline(&spot, from);
        let begins = outline.iter().skip_while(|item| from == 3 && item.starts_with("segment"));
        let begins: Vec<&str> = begins.take(expected.split(", ").count()).map(String::as_str).collect();
        assert_eq!(begins.join(", "), expected, "from {from}");
    }
}

#[test]
fn every_record_is_found_by_its_place_and_every_index_by_itself() {
    for owner in [STREAM, Owner::RootLog] {
        let (_, spot) = three_segments(owner);
        let mut reader = spot.reader(0);
        while let Some(item) = reader.read_next().unwrap() {
            let (first, count, bytes, place) = match item {
                Item::Batch { first, count, bytes, place } => (first, count, bytes, place),
                Item::RootLeaf { index, bytes, place } => (index, 1, bytes, place),
                Item::Payload { bytes, place } => {
                    assert_eq!(read_record_at(spot.storage.as_ref(), &spot.dir, place).unwrap().unwrap().body, bytes);
                    continue;
                }
                _ => continue,
            };
            for index in first..first + u64::from(count) {
                for hint in [None, Some(place), Some(Place { offset: place.offset + 1, ..place })] {
                    let found = read_batch_at(spot.storage.as_ref(), &spot.dir, &owner, index, hint).unwrap().unwrap();
                    assert_eq!((found.first, found.place, &found.body[..]), (first, place, bytes), "index {index}");
                    let is_known = hint == Some(place) && owner == STREAM;
                    assert_eq!(found.searched == 0, is_known, "what was read to find it is said");
                }
            }
        }
        assert_eq!(read_batch_at(spot.storage.as_ref(), &spot.dir, &owner, 1_000, None).unwrap(), None);
    }
}

#[test]
fn a_hint_begins_where_the_index_does_and_a_stale_one_does_no_harm() {
    let (_, spot) = three_segments(STREAM);
    let mut places = Vec::new();
    let mut reader = spot.reader(0);
    while let Some(item) = reader.read_next().unwrap() {
        if let Item::Payload { place, .. } | Item::Batch { place, .. } = item {
            places.push(place);
        }
    }
    places.push(Place { segment: 5, offset: 100 });
    for from in [0, 4, 34, 36, 76, 77, 86] {
        let records = |outline: Vec<String>| -> Vec<String> {
            outline.into_iter().filter(|item| !item.starts_with("segment") && item != "payload").collect()
        };
        let expected = records(outline(&spot, from));
        for hint in &places {
            let mut reader = Reader::open_at(Arc::clone(&spot.storage), &spot.dir, STREAM, from, *hint).unwrap();
            let mut found = Vec::new();
            while let Some(item) = reader.read_next().unwrap() {
                found.push(describe(&item));
            }
            assert_eq!(records(found), expected, "from {from} at {hint:?}");
        }
    }
}

#[test]
fn stops_at_the_limit_and_goes_on_when_it_moves() {
    let (_, spot) = three_segments(STREAM);
    let mut reader = spot.reader(0);
    let mut found = Vec::new();
    for limit in [0, 4, 36, 77, 86] {
        reader.set_limit(limit);
        while let Some(item) = reader.read_next().unwrap() {
            found.push(describe(&item));
        }
        assert_eq!(reader.next_index(), limit);
    }
    assert_eq!(found, outline(&spot, 0));
}

/// A log whose group at 4 failed in segment 0 and was written again to segment 4; `tamper` changes the old copy.
#[track_caller]
fn check_superseded(owner: Owner, tamper: impl Fn(&mut Vec<u8>), expected: &[&str]) {
    let memory = memory();
    let spot = Spot::in_memory(&memory, owner);
    let mut maker = Maker::at(owner, SegmentStart::empty(), 1);
    let before = encode(&maker.group(&[1, 1, 1, 1], 40));
    let middle = maker.end.clone();
    let group = encode(&maker.group(&[2, 3], 40));
    let mut old = group.clone();
    tamper(&mut old);
    put(&spot, &memory, &SegmentStart::empty(), &[&before, &old]);
    put(&spot, &memory, &middle, &[&group]);
    let outline = outline(&spot, 0);
    let odd: Vec<&str> = outline.iter().map(String::as_str).filter(|item| !is_record(item)).collect();
    assert_eq!(odd, expected);
    assert!(outline.iter().any(|item| item == "segment 4"), "{outline:?}");
}

fn is_record(item: &str) -> bool {
    ["segment", "batch", "leaf", "payload"].iter().any(|kind| item.starts_with(kind))
}

#[test]
fn a_superseded_copy_may_be_equal_or_torn_and_a_different_one_is_named() {
    for owner in [STREAM, Owner::RootLog] {
        check_superseded(owner, |_| (), &[]);
        check_superseded(owner, Vec::clear, &[]);
        check_superseded(owner, |old| old.truncate(old.len() - 1), &["torn, superseded"]);
        check_superseded(owner, |old| old[60] ^= 1, &["torn, superseded"]);
        check_superseded(owner, |old| old.extend_from_slice(&[0; 20]), &["torn, superseded"]);
    }
    let other = |owner| encode(&Maker { salt: 2, ..at_four(owner) }.group(&[2, 3], 40));
    check_superseded(STREAM, |old| *old = other(STREAM), &["superseded 4", "superseded 6"]);
    check_superseded(Owner::RootLog, |old| *old = other(Owner::RootLog), &["superseded 4", "superseded 5"]);
    let longer = |owner| encode(&at_four(owner).group(&[2, 3, 1], 40));
    check_superseded(STREAM, |old| *old = longer(STREAM), &["superseded 9"]);
}

fn at_four(owner: Owner) -> Maker {
    let mut maker = Maker::at(owner, SegmentStart::empty(), 1);
    maker.group(&[1, 1, 1, 1], 40);
    maker
}

/// `damage` changes the bytes of the segment at `first`; `expected` are the items that are no records.
#[track_caller]
fn check_damage(owner: Owner, first: u64, damage: impl Fn(&mut Vec<u8>), expected: &[&str]) {
    let (memory, spot) = three_segments(owner);
    let path = spot.path(first);
    let mut bytes = spanseal_log::read_file(&memory, &path, 100_000).unwrap();
    damage(&mut bytes);
    memory.overwrite(&path, &bytes).unwrap();
    let outline = outline(&spot, 0);
    let odd: Vec<&str> = outline.iter().map(String::as_str).filter(|item| !is_record(item)).collect();
    assert_eq!(odd, expected, "{outline:?}");
    let last = if owner == STREAM { "batch 77+9" } else { "leaf 5" };
    assert!(
        expected.first().is_some_and(|odd| *odd == "torn") || outline.iter().any(|item| item == last),
        "{outline:?}"
    );
}

#[test]
fn what_cannot_be_read_is_torn_at_the_end_and_damage_elsewhere() {
    let unreadable = "damaged: a record cannot be read";
    check_damage(STREAM, 77, |bytes| bytes.truncate(bytes.len() - 1), &["torn"]);
    check_damage(STREAM, 77, |bytes| *bytes.last_mut().unwrap() ^= 1, &["torn"]);
    check_damage(STREAM, 77, |bytes| bytes.push(0), &["torn"]);
    check_damage(STREAM, 36, |bytes| bytes.truncate(bytes.len() - 1), &[unreadable]);
    check_damage(STREAM, 0, |bytes| bytes[100] ^= 1, &[unreadable]);
    check_damage(STREAM, 0, |bytes| bytes[77] = 0xff, &[unreadable]);
    check_damage(STREAM, 0, |bytes| bytes.truncate(80), &[unreadable]);
}

#[test]
fn records_under_a_damaged_header_are_read_all_the_same() {
    let header = "damaged: the segment's header cannot be read";
    check_damage(STREAM, 36, |bytes| bytes[50] ^= 1, &[header]);
    check_damage(STREAM, 77, |bytes| bytes[20] ^= 1, &[header]);
    let start = Maker::at(STREAM, SegmentStart::empty(), 1).end;
    let other = Owner::RootLog;
    let foreign = move |bytes: &mut Vec<u8>| bytes[..77].copy_from_slice(&start.encode(&other));
    check_damage(STREAM, 0, foreign, &["damaged: the segment belongs to another stream"]);
}

#[test]
fn a_record_of_the_wrong_type_is_named_and_passed() {
    for (owner, kind) in [(STREAM, RecordKind::RootLeaf), (Owner::RootLog, RecordKind::Batch)] {
        let odd = format!("damaged: a record of type {} has no place in this log", kind as u8);
        let insert = |bytes: &mut Vec<u8>| {
            let mut record = Vec::new();
            record::append_with(&mut record, kind, |out| out.push(1)).unwrap();
            bytes.splice(77..77, record);
        };
        check_damage(owner, 0, insert, &[&odd]);
    }
}

#[test]
fn a_missing_segment_shows_in_the_indices() {
    let (memory, spot) = three_segments(STREAM);
    memory.remove(&spot.path(36)).unwrap();
    assert_eq!(&outline(&spot, 0)[6..], ["segment 77", "payload", "batch 77+9"]);
    memory.remove(&spot.path(0)).unwrap();
    assert_eq!(outline(&spot, 0), ["segment 77", "payload", "batch 77+9"]);
    memory.remove(&spot.path(77)).unwrap();
    assert_eq!(outline(&spot, 0), Vec::<String>::new());
}

#[test]
fn a_missing_segment_of_the_root_log_is_named() {
    let memory = memory();
    let spot = Spot::in_memory(&memory, Owner::RootLog);
    let mut maker = Maker::at(Owner::RootLog, SegmentStart::empty(), 1);
    maker.group(&[1; 3], 40);
    put(&spot, &memory, &maker.end.clone(), &[&encode(&maker.group(&[1], 40))]);
    assert_eq!(
        outline(&spot, 0),
        ["damaged: the root log goes on at index 3 where 0 should be", "segment 3", "leaf 3"]
    );
}

#[test]
fn recovery_refuses_a_log_that_lost_what_its_checkpoint_covers() {
    let (memory, spot) = three_segments(STREAM);
    let before = spanseal_log::read_file(&memory, &spot.path(77), 100_000).unwrap();
    memory.overwrite(&spot.path(77), &before[..before.len() - 1]).unwrap();
    let refused = recover(spot.storage.as_ref(), &spot.dir, &STREAM, 86).unwrap_err();
    assert_eq!(refused.to_string(), "the log ends at 77, below its checkpoint at 86");
    assert_eq!(spanseal_log::read_file(&memory, &spot.path(77), 100_000).unwrap().len(), before.len() - 1);
    assert_eq!(recover(spot.storage.as_ref(), &spot.dir, &STREAM, 77).unwrap().start.first, 77);
}

#[test]
fn recovery_refuses_a_batch_that_does_not_continue_the_log() {
    let mut other = Maker::at(STREAM, SegmentStart::empty(), 2);
    let batch = encode(&other.group(&[2], 40));
    let (memory, spot) = three_segments(STREAM);
    let mut bytes = spanseal_log::read_file(&memory, &spot.path(77), 100_000).unwrap();
    bytes.extend_from_slice(&batch);
    memory.overwrite(&spot.path(77), &bytes).unwrap();
    let refused = recover(spot.storage.as_ref(), &spot.dir, &STREAM, 0).unwrap_err();
    assert!(refused.to_string().starts_with("the record at index 86 does not continue the log"), "{refused}");
}

#[test]
fn recovery_tells_the_last_seal_wherever_it_is() {
    let (_, spot) = three_segments(STREAM);
    let recovered = recover(spot.storage.as_ref(), &spot.dir, &STREAM, 86).unwrap();
    assert_eq!(recovered.last_seal.unwrap().first, 77);
    let writer =
        Writer::open_with(Arc::clone(&spot.storage), &spot.dir, STREAM, recovered.start.clone(), SMALL).unwrap();
    drop(writer);
    assert_eq!(recover(spot.storage.as_ref(), &spot.dir, &STREAM, 86).unwrap(), recovered);
}

#[test]
fn large_records_are_read_across_buffers() {
    let memory = memory();
    let spot = Spot::in_memory(&memory, STREAM);
    let options = Options { segment_bytes_max: 10_000_000, ..Options::default() };
    let mut writer =
        Writer::open_with(Arc::clone(&spot.storage), &spot.dir, STREAM, SegmentStart::empty(), options).unwrap();
    let mut maker = Maker::at(STREAM, SegmentStart::empty(), 1);
    let mut bodies = Vec::new();
    for (count, event_bytes) in [(13, 65_000), (1, 9), (200, 1_000), (13, 64_000), (13, 60_001), (256, 500)] {
        let group = maker.group(&[count], event_bytes);
        bodies.extend(group.records.iter().map(|(_, body)| body.clone()));
        assert_eq!(write(&mut writer, &group).unwrap(), Committed::Appended);
    }
    let mut reader = spot.reader(0);
    let mut found = Vec::new();
    while let Some(item) = reader.read_next().unwrap() {
        if let Item::Batch { bytes, .. } | Item::Payload { bytes, .. } = item {
            found.push(bytes.to_vec());
        }
    }
    assert!(found == bodies);
}

#[test]
fn a_failing_disk_is_an_error_and_no_finding() {
    let (memory, spot) = three_segments(STREAM);
    let mut reader = spot.reader(0);
    memory.fault_after(0, Fault::Unwritten(ErrorKind::Other));
    assert!(reader.read_next().unwrap().is_some(), "faults hit changes only");
    memory.kill();
    while let Ok(item) = reader.read_next() {
        assert!(item.is_some_and(|item| is_record(&describe(&item))), "what it had read ahead");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn never_panics_on_arbitrary_bytes(
        owner in prop_oneof![Just(STREAM), Just(Owner::RootLog)],
        segments in prop::collection::btree_map(0_u64..200, (any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 1..4),
        from in 0_u64..200,
    ) {
        let memory = memory();
        let spot = Spot::in_memory(&memory, owner);
        for (first, (plausible, bytes)) in &segments {
            let mut maker = Maker::at(owner, SegmentStart::empty(), 1);
            maker.group(&vec![1; *first as usize], 9);
            put(&spot, &memory, &maker.end, &[bytes]);
            if !plausible {
                memory.overwrite(&spot.path(*first), bytes).unwrap();
            }
        }
        outline(&spot, from);
        for index in 0..200 {
            let _ = read_batch_at(spot.storage.as_ref(), &spot.dir, &owner, index, None);
        }
        let _ = recover(spot.storage.as_ref(), &spot.dir, &owner, from);
    }

    #[test]
    fn never_panics_on_records_in_any_order(
        owner in prop_oneof![Just(STREAM), Just(Owner::RootLog)],
        seed in any::<u64>(),
        splices in prop::collection::vec((0_usize..6_000, 0_usize..60, prop::collection::vec(any::<u8>(), 0..20)), 0..3),
    ) {
        let (memory, spot) = three_segments(owner);
        let firsts = spanseal_log::segment::list(spot.storage.as_ref(), &spot.dir).unwrap();
        let all: Vec<Vec<u8>> =
            firsts.iter().map(|first| spanseal_log::read_file(&memory, &spot.path(*first), 100_000).unwrap()).collect();
        for (place, first) in firsts.iter().enumerate() {
            let mut bytes = all[(place + seed as usize) % all.len()].clone();
            for (at, cut, new) in &splices {
                let at = at % bytes.len().max(1);
                let end = (at + cut).min(bytes.len());
                bytes.splice(at..end, new.iter().copied());
            }
            memory.overwrite(&spot.path(*first), &bytes).unwrap();
        }
        outline(&spot, seed % 100);
        let _ = recover(spot.storage.as_ref(), &spot.dir, &owner, seed % 100);
        outline(&spot, 0);
    }
}
