//! Proves where an event is sealed, now: from its bytes in the log up to a signed checkpoint.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use spanseal_ledger::checkpoint::VerifiedCheckpoint;
use spanseal_ledger::proof::{prove_inclusion, verify_inclusion};
use spanseal_ledger::root_leaf::{RootLeaf, RootOp};
use spanseal_ledger::tree::root_of;
use spanseal_ledger::verify::{RootState, RootVerifier, StreamVerifier};
use spanseal_ledger::{EventId, Hash, StreamId};
use spanseal_log::{DataDir, Item, Owner, Place as LogPlace, Reader, segment};

use super::answer::{Place, Proof};
use super::levels::Levels;
use super::runs::{Found, RUN, Runs};
use crate::hex;
use crate::index::Index;
use crate::index::store::{BLOCK_HEIGHT, RUN_HEIGHT, batch_at, runs};

/// What proofs rest on: the root log's keys, and each stream's checkpoint.
pub(super) struct Prover {
    data: DataDir,
    root: RootState,
    index: Option<Index>,
    checkpoints: HashMap<StreamId, Option<VerifiedCheckpoint>>,
    /// Over the blocks of a stream at a size.
    trees: HashMap<(StreamId, u64), Option<Rc<Levels>>>,
    /// Over the runs of a block at a size.
    blocks: HashMap<(StreamId, u64, u64), Rc<Levels>>,
}

impl Prover {
    /// Reads and verifies the root log.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn open(data: &DataDir, index: Option<Index>) -> io::Result<Self> {
        // Notes before leaves, so that no note claims more than what is read.
        let mut notes = HashMap::new();
        for stream in data.streams()? {
            notes.insert(stream, data.read_checkpoint(&Owner::Stream(stream)).unwrap_or_default());
        }
        let root_note = data.read_checkpoint(&Owner::RootLog).unwrap_or_default();
        let root = read_root_log(data, root_note.as_deref())?;
        let verified = |(stream, note): (StreamId, Option<Vec<u8>>)| {
            (stream, StreamVerifier::new(&root, stream, note.as_deref()).finish(&root).checkpoint)
        };
        let checkpoints = notes.into_iter().map(verified).collect();
        Ok(Self { data: data.clone(), root, index, checkpoints, trees: HashMap::new(), blocks: HashMap::new() })
    }

    pub(super) fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// Returns where the run of an event may begin in the log.
    pub(super) fn hint(&self, event: EventId) -> Option<LogPlace> {
        let connection = self.index.as_ref()?.connection();
        let first = event.index - event.index % RUN;
        batch_at(connection, &event.stream.0, first).ok().flatten().map(|(_, place)| place)
    }

    /// Proves an event.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) fn place(&mut self, event: EventId, found: &Found<'_>, runs: &mut Runs) -> io::Result<Place> {
        let seal = &found.seal.seal;
        let owner = Owner::Stream(event.stream);
        let file = segment::path(&self.data.log(&owner), found.place.segment);
        let file = file.strip_prefix(self.data.root()).unwrap_or(&file).display().to_string();
        Ok(Place {
            event: event.to_string(),
            leaf: hex::encode(&found.leaf),
            batch: (seal.first, seal.size().saturating_sub(1)),
            seal: hex::encode(&found.seal.hash()),
            epoch: seal.epoch,
            sealed_unix_nano: seal.wall,
            file,
            offset: found.place.offset,
            proof: self.proof(event, found, runs)?,
        })
    }

    fn proof(&mut self, event: EventId, found: &Found<'_>, runs: &mut Runs) -> io::Result<Proof> {
        let seal = &found.seal.seal;
        let epoch = self.root.epoch(&event.stream, seal.epoch);
        if seal.stream != event.stream || epoch.is_none_or(|epoch| found.seal.verify(&epoch.key).is_err()) {
            return Ok(refused("no key of the root log has signed its seal"));
        }
        let checkpoint = self.checkpoints.get(&event.stream).cloned().flatten();
        let covering = checkpoint.filter(|checkpoint| event.index < checkpoint.size());
        let size = covering.as_ref().map_or(seal.size(), VerifiedCheckpoint::size);
        let Some(tree) = self.tree(event.stream, size, runs)? else {
            return Ok(sealed("its path is not in the index; `spanseal reindex` finds it"));
        };
        let Some(checkpoint) = covering else {
            let agrees = tree.root() == seal.root;
            return Ok(if agrees {
                sealed("no checkpoint covers it yet")
            } else {
                refused("the log does not hash to its sealed root")
            });
        };
        let path = self.path(event, size, &tree, runs)?;
        Ok(match verify_inclusion(&found.leaf, event.index, &path, &checkpoint) {
            Ok(()) => Proof::Included {
                size,
                checkpoint_unix_seconds: checkpoint.time_seconds(),
                hashes: path.iter().map(|hash| hex::encode(hash)).collect(),
            },
            Err(error) => refused(&format!("the log does not hash to its checkpoint: {error}")),
        })
    }

    fn path(&mut self, event: EventId, size: u64, tree: &Levels, runs: &mut Runs) -> io::Result<Vec<Hash>> {
        let run = runs.of(event.stream, event.index, self.hint(event))?;
        let first = event.index - event.index % RUN;
        let leaves = leaves_below(&run.leaves, size - first);
        let mut path = prove_inclusion(event.index % RUN, leaves).unwrap_or_default();
        let block = event.index / BLOCK;
        path.extend(self.block(event.stream, block, size, runs)?.path(place(event.index % BLOCK / RUN)));
        path.extend(tree.path(place(block)));
        Ok(path)
    }

    /// Returns the tree over the blocks of a stream at a size; `None` when too many runs would have to be hashed.
    fn tree(&mut self, stream: StreamId, size: u64, runs: &mut Runs) -> io::Result<Option<Rc<Levels>>> {
        if let Some(tree) = self.trees.get(&(stream, size)) {
            return Ok(tree.clone());
        }
        let tree = self.grow(stream, size, runs)?.map(Rc::new);
        self.trees.insert((stream, size), tree.clone());
        Ok(tree)
    }

    /// Takes the roots of full blocks from the index, and makes those that are not there yet. Nothing is believed: the tree
    /// must hash to what is signed.
    fn grow(&mut self, stream: StreamId, size: u64, runs: &mut Runs) -> io::Result<Option<Levels>> {
        let mut nodes = self.indexed(stream, BLOCK_HEIGHT, 0..size / BLOCK);
        let rest = nodes.len() as u64 * (BLOCK / RUN)..size / RUN;
        let indexed = self.indexed(stream, RUN_HEIGHT, rest.clone()).len() as u64;
        if rest.end - rest.start - indexed > HASHED_RUNS_MAX {
            return Ok(None);
        }
        for block in nodes.len() as u64..size.div_ceil(BLOCK) {
            nodes.push(self.block(stream, block, size, runs)?.root());
        }
        Ok(Some(Levels::over(nodes)))
    }

    /// Returns the tree over the runs of one block at a size: full ones from the index as far as they are there, others
    /// from the log.
    fn block(&mut self, stream: StreamId, block: u64, size: u64, runs: &mut Runs) -> io::Result<Rc<Levels>> {
        if let Some(levels) = self.blocks.get(&(stream, block, size)) {
            return Ok(Rc::clone(levels));
        }
        let (first, end) = (block * (BLOCK / RUN), (block + 1) * (BLOCK / RUN));
        let mut nodes = self.indexed(stream, RUN_HEIGHT, first..end.min(size / RUN));
        for number in first + nodes.len() as u64..end.min(size.div_ceil(RUN)) {
            let index = number * RUN;
            let run = runs.of(stream, index, self.hint(EventId { stream, index }))?;
            nodes.push(root_of(leaves_below(&run.leaves, size - index)));
        }
        let levels = Rc::new(Levels::over(nodes));
        self.blocks.insert((stream, block, size), Rc::clone(&levels));
        Ok(levels)
    }

    fn indexed(&self, stream: StreamId, height: u8, numbers: Range<u64>) -> Vec<Hash> {
        let index = self.index.as_ref();
        let found = index.map(|index| runs(index.connection(), &stream.0, height, numbers));
        found.and_then(Result::ok).unwrap_or_default()
    }
}

/// Verifies the root log, but for the sizes of streams that a later leaf goes beyond: there are thousands a day, and no proof
/// rests on them.
fn read_root_log(data: &DataDir, note: Option<&[u8]>) -> io::Result<RootState> {
    let mut reader = Reader::open(data.shared_storage(), &data.log(&Owner::RootLog), Owner::RootLog, 0)?;
    let (mut leaves, mut last) = (Vec::new(), HashMap::new());
    while let Some(item) = reader.read_next()? {
        if let Item::RootLeaf { bytes, .. } = item {
            let at = RootLeaf::parse(bytes).ok().and_then(|leaf| match leaf.op {
                RootOp::StreamCheckpoint(at) => Some(at.stream),
                _ => None,
            });
            last.extend(at.map(|stream| (stream, leaves.len())));
            leaves.push((at, bytes.to_vec()));
        }
    }
    let mut verifier = RootVerifier::new(None);
    for (place, (at, bytes)) in leaves.iter().enumerate() {
        if at.is_some_and(|stream| last.get(&stream) != Some(&place)) {
            verifier.pass(bytes);
        } else {
            // One that is refused has no effect, and what rests on it is refused in its turn.
            let _ = verifier.push(bytes);
        }
    }
    Ok(verifier.finish(note))
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn leaves_below(leaves: &[Hash], count: u64) -> &[Hash] {
    &leaves[..leaves.len().min(usize::try_from(count).unwrap_or(usize::MAX))]
}

fn sealed(because: &str) -> Proof {
    Proof::Sealed { because: because.to_owned() }
}

fn refused(because: &str) -> Proof {
    Proof::Refused { because: because.to_owned() }
}

const BLOCK: u64 = 1 << BLOCK_HEIGHT;
/// A million events: hashed in about a second.
const HASHED_RUNS_MAX: u64 = 4096;
