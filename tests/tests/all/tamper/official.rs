//! What a data directory holds by format.md section 11, read once more and by other means: what must be found changed.

use super::records::{Segment, first_of};
use super::{ROOT, Tree};

/// Root leaves, or the batches of a stream: those that count, in order.
#[derive(PartialEq, Eq)]
pub(crate) struct Covered(Vec<Vec<u8>>);

/// Returns the records of a log that lie below a size.
pub(crate) fn covered(tree: &Tree, log: &str, size: u64) -> Covered {
    let segments = tree.segments(log);
    let mut held = Vec::new();
    for (place, name) in segments.iter().enumerate() {
        let limit = segments.get(place + 1).map_or(u64::MAX, |next| first_of(next));
        let mut leaf = first_of(name);
        for (kind, body) in Segment::open(name, &tree.files[name]).records {
            let first = match (log == ROOT, kind) {
                (true, 3) => leaf,
                (false, 1) if body.len() >= 264 => u64::from_be_bytes(*body[40..].first_chunk().unwrap()),
                _ => continue,
            };
            leaf += 1;
            if first >= limit {
                break;
            }
            // A leaf that is not where it was counts for nothing.
            if first < size {
                held.push(body);
            }
        }
    }
    Covered(held)
}

impl Covered {
    /// Whether all the events of another are among these, in their order: what a seal says besides may be another.
    pub(crate) fn has_all_of(&self, other: &Covered) -> bool {
        let mut mine = self.0.iter();
        let events = |batch: &Vec<u8>| batch.get(264..).map(<[u8]>::to_vec);
        other.0.iter().all(|batch| mine.any(|held| events(held) == events(batch)))
    }
}
