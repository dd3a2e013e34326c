//! A data directory in memory, to be tampered with: its files, and their records.

mod base;
mod edit;
mod official;
mod records;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use spanseal_ledger::StreamId;

pub(crate) use base::Base;
pub(crate) use edit::{Random, edit};
pub(crate) use official::covered;
pub(crate) use records::{Segment, first_of, record};

/// The files of a data directory by path, and the trust file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) trust: String,
}

pub(crate) const ROOT: &str = "rootlog";

impl Tree {
    pub(crate) fn write(&self, data: &Path, trust: &Path) {
        if data.exists() {
            fs::remove_dir_all(data).unwrap();
        }
        for (name, bytes) in &self.files {
            let path = data.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::create_dir_all(data).unwrap();
        fs::write(trust, &self.trust).unwrap();
    }

    /// The segments of a log, in order.
    pub(crate) fn segments(&self, log: &str) -> Vec<String> {
        let of_log =
            |name: &&String| name.strip_suffix(".seg").is_some_and(|name| name.starts_with(&format!("{log}/")));
        self.files.keys().filter(of_log).cloned().collect()
    }

    /// Every segment.
    pub(crate) fn all_segments(&self) -> Vec<String> {
        self.files.keys().filter(|name| name.ends_with(".seg")).cloned().collect()
    }

    /// Every note.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.files.keys().filter(|name| name.ends_with("/checkpoint")).cloned().collect()
    }
}

pub(crate) fn folder(stream: StreamId) -> String {
    format!("streams/{stream}")
}
