//! Any one bit flipped in segments, checkpoints or root log of a small data directory is named.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use spanseal_log::{DataDir, Disk};
use spanseal_pipelines::check::{Options, Report, check};

use crate::ledger::Ledger;

#[tokio::test]
async fn every_flipped_bit_is_named() {
    let ledger = Ledger::make().await;
    let report = verify(&ledger);
    assert_eq!((report.exit_code, report.anchor), (0, "pinned"), "{:?}", report.named);
    assert_eq!(report.totals.kinds["span"], 6);
    assert!(report.totals.payload_records > 0);

    let mut flipped = 0;
    for file in evidence(&ledger.data()) {
        let whole = fs::read(&file).unwrap();
        // Every byte in turn, and in each another bit, so that every bit of every field of the formats has its turn.
        for (at, bit) in (0..whole.len()).map(|at| (at, (at * 5 + at / 8) % 8)) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&file, &bytes).unwrap();
            let report = verify(&ledger);
            let named = report.named.as_ref().map(|named| named.code);
            assert_eq!(report.exit_code, 1, "bit {bit} of byte {at} of {}: {named:?}", file.display());
            flipped += 1;
        }
        fs::write(&file, &whole).unwrap();
    }
    assert!(flipped > 5_000, "{flipped} bits");
    assert_eq!(verify(&ledger).exit_code, 0);
}

/// Returns every segment and checkpoint.
fn evidence(data: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let streams = fs::read_dir(data.join("streams")).unwrap().map(|stream| stream.unwrap().path());
    for dir in streams.chain([data.join("rootlog")]) {
        let names = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
        files.extend(
            names.filter(|file| file.ends_with("checkpoint") || file.extension().is_some_and(|end| end == "seg")),
        );
    }
    assert!(files.len() >= 4, "{files:?}");
    files
}

fn verify(ledger: &Ledger) -> Report {
    let options = Options {
        trust: Some(ledger.trust.clone()),
        now_seconds: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(),
        max_age_seconds: 3600,
        threads: NonZeroUsize::MIN,
        chunk_bytes: spanseal_pipelines::check::CHUNK_BYTES,
        resume: None,
    };
    check(&DataDir::at(Arc::new(Disk), &ledger.data()), &options, &mut |_| ()).unwrap()
}
