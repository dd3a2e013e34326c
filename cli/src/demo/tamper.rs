//! What somebody with write access to the data directory and a copy of `docs/format.md` could do to it.
//!
//! They mend what can be mended without a key: lengths and CRCs fit again afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use spanseal_ledger::seal::SEAL_LEN;
use spanseal_log::RecordKind;
use spanseal_log::record::{HEAD_LEN, Head, append_with};
use spanseal_log::segment::header_len;

/// Changes one byte of what the agent said: another database.
///
/// # Errors
/// When the words are not in the log.
pub(crate) fn flip_a_byte(data: &Path) -> anyhow::Result<()> {
    let mut segment = Segment::read(data)?;
    let words = b"postgres:prod/customers";
    for body in &mut segment.records {
        let Some(at) = body.windows(words.len()).position(|window| window == words) else { continue };
        body[at + words.len() - 1] = b'z';
        return segment.write();
    }
    anyhow::bail!("the agent's words are not in the log")
}

/// Cuts the tail: what the agent did, and the closing of the epoch after it.
///
/// # Errors
/// When the log has no batch.
pub(crate) fn cut_the_tail(data: &Path) -> anyhow::Result<()> {
    let mut segment = Segment::read(data)?;
    let kept = segment.records.len().checked_sub(2).context("the log is empty")?;
    segment.records.truncate(kept);
    segment.write()
}

/// Removes one event from its batch, and counts again.
///
/// # Errors
/// When the event is not in the log.
pub(crate) fn delete_an_event(data: &Path) -> anyhow::Result<()> {
    let mut segment = Segment::read(data)?;
    for body in &mut segment.records {
        if let Some((start, end)) = entry_with(body, b"network.open") {
            body.drain(start..end);
            // format.md section 4: count at 36, tree size at 48.
            let count = u16::from_be_bytes([body[36], body[37]]) - 1;
            body[36..38].copy_from_slice(&count.to_be_bytes());
            let size = u64::from_be_bytes(body[48..56].try_into()?) - 1;
            body[48..56].copy_from_slice(&size.to_be_bytes());
            return segment.write();
        }
    }
    anyhow::bail!("the event is not in the log")
}

/// Puts one directory in the place of another: log, root log, checkpoints and keys.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn replace_everything(data: &Path, with: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(data)?;
    copy(with, data)
}

/// Copies a directory with everything in it.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Returns where the first event of a batch that contains `words` stands, its length included.
fn entry_with(body: &[u8], words: &[u8]) -> Option<(usize, usize)> {
    let mut start = SEAL_LEN;
    while let Some(length) = body.get(start..start + 2) {
        let end = start + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        if body.get(start..end)?.windows(words.len()).any(|window| window == words) {
            return Some((start, end));
        }
        start = end;
    }
    None
}

/// The one segment of a small log, taken apart.
struct Segment {
    path: PathBuf,
    header: Vec<u8>,
    /// Bodies of its records, batches all.
    records: Vec<Vec<u8>>,
}

impl Segment {
    fn read(data: &Path) -> anyhow::Result<Self> {
        let stream = fs::read_dir(data.join("streams"))?.next().context("no stream")??.path();
        let path = stream.join(format!("{:020}.seg", 0));
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let (header, mut rest) = bytes.split_at_checked(header_len(0)).context("a segment without a header")?;
        let mut records = Vec::new();
        while let Some(head) = rest.first_chunk::<HEAD_LEN>() {
            let len = Head::parse(head).record_len().context("a record of impossible length")?;
            let (record, after) = rest.split_at_checked(len).context("a record that ends too early")?;
            records.push(record[HEAD_LEN..].to_vec());
            rest = after;
        }
        Ok(Self { path, header: header.to_vec(), records })
    }

    /// Writes the segment back with lengths and CRCs that fit.
    fn write(&self) -> anyhow::Result<()> {
        let mut bytes = self.header.clone();
        for record in &self.records {
            append_with(&mut bytes, RecordKind::Batch, |out| out.extend_from_slice(record))?;
        }
        Ok(fs::write(&self.path, bytes)?)
    }
}
