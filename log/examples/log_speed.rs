//! Measures one log on a real disk: commits with their sync, then reading it back from the page cache.
//!
//! `cargo run --release -p spanseal-log --example log_speed -- DIRECTORY [MEBIBYTES] [BATCH_BYTES] [GROUP_BYTES]`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spanseal_ledger::StreamId;
use spanseal_ledger::leaf::leaf_hash;
use spanseal_ledger::seal::{Counters, SEAL_LEN, Seal, SignedSeal};
use spanseal_log::{Disk, Item, Owner, Reader, RecordKind, SegmentStart, Storage, Writer, read_batch_at};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().map(PathBuf::from).ok_or("which directory?")?.join("log-speed");
    let mut number = |usual: usize| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (bytes, batch_bytes, group_bytes) = (number(64)? * 1024 * 1024, number(300_000)?, number(2_000_000)?);
    let storage: Arc<dyn Storage> = Arc::new(Disk);
    let written = write(&storage, &dir, bytes, batch_bytes, group_bytes)?;
    for _ in 0..3 {
        read(&storage, &dir)?;
    }
    look_up(&storage, &dir, written)?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn write(
    storage: &Arc<dyn Storage>,
    dir: &std::path::Path,
    bytes: usize,
    batch_bytes: usize,
    group_bytes: usize,
) -> Result<u64, Failure> {
    let mut end = SegmentStart::empty();
    let mut writer = Writer::open(Arc::clone(storage), dir, OWNER, end.clone())?;
    let mut latencies = Vec::new();
    let (begun, mut written) = (Instant::now(), 0);
    while written < bytes {
        while writer.pending_bytes() < group_bytes {
            let batch = batch(&mut end, batch_bytes);
            written += batch.len();
            writer.append(RecordKind::Batch, &batch)?;
        }
        let committing = Instant::now();
        let _ = writer.commit(end.clone())?;
        latencies.push(committing.elapsed());
    }
    let spent: Duration = latencies.iter().sum();
    latencies.sort_unstable();
    let (p50, p99) = (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]);
    println!(
        "wrote {written} bytes in {:?}, {} commits in {spent:?}, p50 {p50:?}, p99 {p99:?}",
        begun.elapsed(),
        latencies.len()
    );
    Ok(end.first)
}

fn batch(end: &mut SegmentStart, bytes: usize) -> Vec<u8> {
    let event = vec![1; bytes.saturating_sub(SEAL_LEN + 2).clamp(1, 60_000)];
    let count = (bytes / event.len()).clamp(1, 200) as u16;
    let (first, leaf) = (end.first, leaf_hash(&event));
    let mut body = vec![0; SEAL_LEN];
    for _ in 0..count {
        body.extend_from_slice(&(event.len() as u16).to_be_bytes());
        body.extend_from_slice(&event);
        end.frontier.push(leaf);
    }
    end.first += u64::from(count);
    let seal = Seal {
        stream: STREAM,
        epoch: 1,
        count,
        first,
        root: end.frontier.root(),
        previous: end.seal_hash,
        wall: 0,
        monotonic: 0,
        wall_behind: 0,
        counters: Counters::default(),
    };
    let signed = SignedSeal { seal, signature: [0; 64] };
    end.seal_hash = signed.hash();
    body[..SEAL_LEN].copy_from_slice(&signed.encode());
    body
}

fn read(storage: &Arc<dyn Storage>, dir: &std::path::Path) -> Result<(), Failure> {
    let begun = Instant::now();
    let (mut read, mut batches) = (0, 0);
    let mut reader = Reader::open(Arc::clone(storage), dir, OWNER, 0)?;
    while let Some(item) = reader.read_next()? {
        if let Item::Batch { bytes, .. } = item {
            read += bytes.len();
            batches += 1;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("read {read} bytes, {batches} batches: {:.2} GB/s", read as f64 / seconds / 1e9);
    Ok(())
}

fn look_up(storage: &Arc<dyn Storage>, dir: &std::path::Path, size: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    let found = read_batch_at(storage.as_ref(), dir, &OWNER, size - 1, None)?;
    println!("found the last of {size} events without a hint in {:?}: {}", begun.elapsed(), found.is_some());
    Ok(())
}

const STREAM: StreamId = StreamId([1; 16]);
const OWNER: Owner = Owner::Stream(STREAM);
