//! Verification (format.md section 14): the root log, then each stream, then the report.
//!
//! ```
//! # use spanseal_ledger::verify::{Freshness, Report, RootVerifier, StreamVerifier};
//! # let (root_leaves, root_note, trust): (Vec<Vec<u8>>, Option<&[u8]>, _) = (vec![], None, None);
//! # let streams: Vec<(spanseal_ledger::StreamId, Vec<Vec<u8>>, Option<&[u8]>)> = vec![];
//! let mut root = RootVerifier::new(trust);
//! for leaf in &root_leaves {
//!     let _ = root.push(leaf); // A fault is kept for the report.
//! }
//! let root = root.finish(root_note);
//! let mut reports = Vec::new();
//! for (stream, batches, note) in &streams {
//!     let mut verifier = StreamVerifier::new(&root, *stream, *note);
//!     for batch in batches {
//!         let _ = verifier.push(&root, batch);
//!     }
//!     reports.push(verifier.finish(&root));
//! }
//! let report = Report::new(&root, reports, Freshness { now_seconds: 1_800_000_000, max_age_seconds: 86_400 });
//! assert_eq!(report.exit_code(), 2); // Nothing was checked.
//! ```

mod chain;
mod fault;
mod faults;
mod judge;
mod key_events;
mod midway;
mod notes;
mod position;
mod report;
mod ring;
mod root;
mod root_rules;
mod root_state;
mod stream;

pub use fault::{Class, Code, Detail, Fault};
pub use faults::{FAULTS_MAX, Faults};
pub use judge::HashedBatch;
pub use midway::Midway;
pub use position::{Position, ResumeError};
pub use report::{Anchor, Complete, Freshness, Report};
pub use root::RootVerifier;
pub use root_state::{EpochRoot, RootState, StreamRoot};
pub use stream::{BatchFacts, Counts, StreamReport, StreamVerifier};
