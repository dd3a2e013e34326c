//! Any one bit flipped in any segment is noticed.

use std::io::ErrorKind;
use std::sync::Arc;

use spanseal_log::{Committed, Fault, Memory, Options, Owner, SegmentStart, Writer, read_file, segment};

use crate::support::{Maker, STREAM, Spot, memory, outline, read_sound, write};

/// A cleanly closed log of three segments: one rolled, one made by a rewrite whose old copy could not be cut off.
fn closed_log(owner: Owner) -> (Memory, Spot) {
    let memory = memory();
    let spot = Spot::in_memory(&memory, owner);
    let options = Options { segment_bytes_max: 900, group_bytes_max: 1_000 };
    let mut writer =
        Writer::open_with(Arc::clone(&spot.storage), &spot.dir, owner, SegmentStart::empty(), options).unwrap();
    let mut maker = Maker::at(owner, SegmentStart::empty(), 1);
    assert_eq!(write(&mut writer, &maker.group(&[1], 20)).unwrap(), Committed::Appended);
    // Write, sync; then remove, create, write twice, sync, rename, sync of the directory; then the cut.
    memory.fault_after(1, Fault::Written(ErrorKind::Other));
    memory.fault_after(9, Fault::Unwritten(ErrorKind::Other));
    assert_eq!(write(&mut writer, &maker.group(&[2], 20)).unwrap(), Committed::Rewritten);
    assert_eq!(memory.faults_hit().len(), 2, "the cut has failed");
    for _ in 0..6 {
        let event_bytes = if owner == STREAM { 20 } else { 300 };
        assert_eq!(write(&mut writer, &maker.group(&[3], event_bytes)).unwrap(), Committed::Appended);
    }
    drop(writer);
    (memory, spot)
}

#[track_caller]
fn check_flips(owner: Owner) {
    let (memory, spot) = closed_log(owner);
    let sound = outline(&spot, 0);
    let contents = read_sound(&spot);
    let segments = segment::list(spot.storage.as_ref(), &spot.dir).unwrap();
    assert!(segments.len() >= 3, "{segments:?}");
    let mut flipped = 0;
    for first in segments {
        let path = spot.path(first);
        let bits = read_file(&memory, &path, 100_000).unwrap().len() as u64 * 8;
        for bit in 0..bits {
            memory.flip_bit(&path, bit).unwrap();
            let outline = outline(&spot, 0);
            let named = outline.iter().any(|item| item.starts_with("torn") || item.starts_with("damaged"));
            assert!(named && outline != sound, "bit {bit} of segment {first}: {outline:?}");
            memory.flip_bit(&path, bit).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 10_000);
    assert_eq!(read_sound(&spot), contents);
}

#[test]
fn any_flipped_bit_of_a_stream_is_named() {
    check_flips(STREAM);
}

#[test]
fn any_flipped_bit_of_the_root_log_is_named() {
    check_flips(Owner::RootLog);
}
