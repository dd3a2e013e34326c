//! What is sealed in a data directory, read past the program.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use spanseal_ledger::{StreamId, batch::Batch, kind};
use spanseal_log::{Disk, Item, Owner, Reader};
use spanseal_schemas::{cut, envelope, scan};

use crate::server::run;

/// Every span id in the file is sealed exactly once; returns how many there are.
#[track_caller]
pub(crate) fn acknowledged_once(data: &Path, acknowledged: &Path) -> u64 {
    let acknowledged = fs::read_to_string(acknowledged).unwrap();
    let sealed = sealed_spans(data);
    let mut checked = 0;
    for id in acknowledged.lines() {
        let id = u64::from_str_radix(id, 16).unwrap().to_be_bytes();
        let times = sealed.get(&id).copied().unwrap_or(0);
        assert_eq!(times, 1, "times that the acknowledged span {id:02x?} is in the ledger");
        checked += 1;
    }
    checked
}

/// Verifies against a pin made of the final state, which also shows that no restart left a fault behind.
#[track_caller]
pub(crate) fn verifies(data: &Path, trust: &Path) {
    let (data, trust) = (data.to_str().unwrap(), trust.to_str().unwrap());
    let (code, said, error) = run(&["keys", "pin", trust, "--data", data]);
    assert_eq!(code, Some(0), "{said}{error}");
    let (code, said, error) = run(&["verify", data, "--trust", trust]);
    assert_eq!(code, Some(0), "{said}{error}");
}

/// Returns how often each span id is sealed, over all streams.
fn sealed_spans(data: &Path) -> HashMap<[u8; 8], u32> {
    let mut times = HashMap::new();
    for entry in fs::read_dir(data.join("streams")).unwrap() {
        let dir = entry.unwrap().path();
        let stream: StreamId = dir.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let mut reader = Reader::open(Arc::new(Disk), &dir, Owner::Stream(stream), 0).unwrap();
        while let Some(item) = reader.read_next().unwrap() {
            let Item::Batch { bytes, .. } = item else { continue };
            let batch = Batch::parse(bytes).unwrap();
            for event in batch.events().filter(|event| event[0] == kind::SPAN) {
                let view = envelope::view(&event[1..]).unwrap();
                let span = cut::view(view.span, &view.cuts).unwrap();
                let facts = scan::span(&span, &mut |_, _| {}).unwrap();
                *times.entry(facts.span_id.try_into().unwrap()).or_default() += 1;
            }
        }
    }
    times
}
