//! Structural edits, chosen by a seed: what somebody with the disk can do to a data directory, and some with a key.

use std::ops::Range;

use spanseal_ledger::batch::Batch;
use spanseal_ledger::key::SecretKey;
use spanseal_ledger::seal::SEAL_LEN;

use super::records::{Segment, first_of};
use super::text::{edit_note, edit_trust};
use super::{Base, ROOT, Tree, folder};

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(super) fn pick<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.below(all.len())].clone())
    }

    fn range(&mut self, len: usize) -> Range<usize> {
        let (a, b) = (self.below(len + 1), self.below(len + 1));
        a.min(b)..a.max(b)
    }
}

type Edit = fn(&Base, &mut Tree, &mut Random) -> Option<String>;

/// Does one thing to the directory and says what; nothing when it found nothing to do it to.
pub(crate) fn edit(base: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let edits: [Edit; 16] = [
        flip_bit,
        drop_record,
        duplicate_record,
        swap_records,
        move_record,
        cut_file,
        delete,
        rename_segment,
        swap_files,
        splice_segment,
        edit_header,
        edit_body,
        edit_type,
        edit_note,
        edit_trust,
        sign_again,
    ];
    edits[random.below(edits.len())](base, tree, random)
}

fn flip_bit(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let name = random.pick(&tree.files.keys().cloned().collect::<Vec<_>>())?;
    let bytes = tree.files.get_mut(&name)?;
    let (at, bit) = (random.below(bytes.len()), random.below(8));
    *bytes.get_mut(at)? ^= 1 << bit;
    Some(format!("bit {bit} of byte {at} of {name} flipped"))
}

/// Changes the records of a segment, their CRCs holding.
fn with_records(
    tree: &mut Tree,
    random: &mut Random,
    change: impl FnOnce(&mut Vec<(u8, Vec<u8>)>, &mut Random) -> Option<String>,
) -> Option<String> {
    let name = random.pick(&tree.all_segments())?;
    let mut segment = Segment::open(&name, &tree.files[&name]);
    if segment.records.is_empty() {
        return None;
    }
    let said = change(&mut segment.records, random)?;
    tree.files.insert(name.clone(), segment.write());
    Some(format!("{said} in {name}"))
}

fn drop_record(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    with_records(tree, random, |records, random| {
        let at = random.below(records.len());
        records.remove(at);
        Some(format!("record {at} dropped"))
    })
}

fn duplicate_record(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    with_records(tree, random, |records, random| {
        let (at, to) = (random.below(records.len()), random.below(records.len() + 1));
        records.insert(to, records[at].clone());
        Some(format!("record {at} again at {to}"))
    })
}

fn swap_records(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    with_records(tree, random, |records, random| {
        let (a, b) = (random.below(records.len()), random.below(records.len()));
        records.swap(a, b);
        Some(format!("records {a} and {b} swapped"))
    })
}

/// Moves, or copies, a record to another segment of any log.
fn move_record(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let (from, to) = (random.pick(&tree.all_segments())?, random.pick(&tree.all_segments())?);
    let mut source = Segment::open(&from, &tree.files[&from]);
    if source.records.is_empty() {
        return None;
    }
    let (at, keep) = (random.below(source.records.len()), random.below(2) == 0);
    let moved = if keep { source.records[at].clone() } else { source.records.remove(at) };
    tree.files.insert(from.clone(), source.write());
    let mut target = Segment::open(&to, &tree.files[&to]);
    let place = random.below(target.records.len() + 1);
    target.records.insert(place, moved);
    tree.files.insert(to.clone(), target.write());
    Some(format!("record {at} of {from} {} to {place} of {to}", if keep { "copied" } else { "moved" }))
}

fn cut_file(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let name = random.pick(&tree.files.keys().cloned().collect::<Vec<_>>())?;
    let bytes = tree.files.get_mut(&name)?;
    match random.below(3) {
        0 => {
            let end = random.below(bytes.len());
            bytes.truncate(end);
            Some(format!("{name} cut to {end} bytes"))
        }
        1 => {
            let range = random.range(bytes.len());
            bytes.drain(range.clone());
            Some(format!("bytes {range:?} cut out of {name}"))
        }
        _ => {
            let range = random.range(bytes.len().min(400));
            let again = bytes[range.clone()].to_vec();
            bytes.extend_from_slice(&again);
            Some(format!("bytes {range:?} of {name} appended to it"))
        }
    }
}

fn delete(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let name = random.pick(&tree.files.keys().cloned().collect::<Vec<_>>())?;
    if random.below(4) > 0 {
        tree.files.remove(&name);
        return Some(format!("{name} deleted"));
    }
    let log = name.rsplit_once('/')?.0.to_owned();
    let with_note = random.below(2) == 0;
    tree.files.retain(|other, _| !other.starts_with(&log) || (!with_note && other.ends_with("checkpoint")));
    Some(format!("{log} deleted, note too: {with_note}"))
}

fn rename_segment(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let name = random.pick(&tree.all_segments())?;
    let first = first_of(&name);
    let other = match random.below(4) {
        0 => first.wrapping_add(1 + random.next() % 3),
        1 => first.saturating_sub(1 + random.next() % 3),
        2 => first_of(&random.pick(&tree.all_segments())?),
        _ => random.next() >> random.below(64),
    };
    let renamed = format!("{}/{other:020}.seg", name.rsplit_once('/')?.0);
    let bytes = if random.below(3) == 0 { tree.files[&name].clone() } else { tree.files.remove(&name)? };
    tree.files.insert(renamed.clone(), bytes);
    Some(format!("{name} is {renamed}"))
}

fn swap_files(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let names: Vec<String> = if random.below(4) == 0 { tree.notes() } else { tree.all_segments() };
    let (a, b) = (random.pick(&names)?, random.pick(&names)?);
    let (one, other) = (tree.files[&a].clone(), tree.files[&b].clone());
    tree.files.insert(a.clone(), other);
    tree.files.insert(b.clone(), one);
    Some(format!("{a} and {b} swapped"))
}

/// Puts the records, or all, of one segment into another; or a copy of a log beside the others.
fn splice_segment(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let (from, to) = (random.pick(&tree.all_segments())?, random.pick(&tree.all_segments())?);
    let (source, mut target) = (Segment::open(&from, &tree.files[&from]), Segment::open(&to, &tree.files[&to]));
    match random.below(4) {
        0 => target.records = source.records,
        1 => target.records.extend(source.records),
        2 => target.records.clear(),
        _ => {
            let (log, stranger) = (from.rsplit_once('/')?.0.to_owned(), folder(spanseal_ledger::StreamId([0xab; 16])));
            let copies: Vec<_> = tree.files.iter().filter(|(name, _)| name.starts_with(&log)).collect();
            let renamed = |name: &String| name.replace(&log, &stranger);
            let copies: Vec<_> = copies.into_iter().map(|(name, bytes)| (renamed(name), bytes.clone())).collect();
            tree.files.extend(copies);
            return Some(format!("a copy of {log}"));
        }
    }
    tree.files.insert(to.clone(), target.write());
    Some(format!("records of {from} in {to}"))
}

fn edit_header(base: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let name = random.pick(&tree.all_segments())?;
    let mut segment = Segment::open(&name, &tree.files[&name]);
    if segment.header.len() < 73 {
        return None;
    }
    let owners = [base.streams[0].0, base.streams[1].0, *b"spanseal/rootlog"];
    let bit = 1 << random.below(8);
    let said = match random.below(6) {
        0 => {
            segment.header[15] = b'1' + random.below(3) as u8;
            "version"
        }
        1 => {
            segment.header[16..32].copy_from_slice(&random.pick(&owners)?);
            "owner"
        }
        2 => {
            segment.header[32 + random.below(8)] ^= bit;
            "first index"
        }
        3 => {
            segment.header[40 + random.below(32)] ^= bit;
            "last seal"
        }
        4 => {
            segment.header[72] ^= bit;
            "frontier's length"
        }
        _ => {
            let at = 73 + random.below(segment.header.len() - 73);
            *segment.header.get_mut(at)? ^= bit;
            "frontier"
        }
    };
    tree.files.insert(name.clone(), segment.write());
    Some(format!("{said} in the header of {name}"))
}

fn edit_body(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    with_records(tree, random, |records, random| {
        let at = random.below(records.len());
        let body = &mut records[at].1;
        match random.below(4) {
            0 => {
                let end = 1 + random.below(body.len());
                body.truncate(end);
                Some(format!("record {at} cut to {end} bytes"))
            }
            1 => {
                body.push(0);
                Some(format!("record {at} a byte longer"))
            }
            _ => {
                // The fields of a seal as often as the events.
                let within = if random.below(2) == 0 { body.len().min(SEAL_LEN) } else { body.len() };
                let place = random.below(within);
                body[place] ^= 1 << random.below(8);
                Some(format!("byte {place} of record {at} changed"))
            }
        }
    })
}

fn edit_type(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    with_records(tree, random, |records, random| {
        let at = random.below(records.len());
        records[at].0 = [0, 1, 2, 3, 4, 255][random.below(6)];
        Some(format!("record {at} of type {}", records[at].0))
    })
}

/// Changes a field of a seal, or nothing, and signs it: with the epoch's own key, or another.
fn sign_again(base: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let names: Vec<String> = tree.all_segments().into_iter().filter(|name| !name.starts_with(ROOT)).collect();
    let name = random.pick(&names)?;
    let mut segment = Segment::open(&name, &tree.files[&name]);
    let at = random.below(segment.records.len());
    let body = &mut segment.records.get_mut(at).filter(|(kind, _)| *kind == 1)?.1;
    let mut seal = *Batch::parse(body).ok()?.seal();
    let own = base.epoch_keys.get(seal.epoch as usize - 1).copied().filter(|_| seal.stream == base.streams[1]);
    let mut seed = if random.below(4) == 0 { [9; 32] } else { own.unwrap_or([9; 32]) };
    let said = match random.below(10) {
        0 => "nothing",
        1 => {
            seal.first = seal.first.wrapping_add(random.next() % 5).wrapping_sub(2);
            "first"
        }
        2 => {
            seal.epoch = 1 + random.below(3) as u32;
            "epoch"
        }
        3 => {
            seal.previous[0] ^= 1;
            "previous"
        }
        4 => {
            seal.wall = seal.wall.wrapping_sub(1 << random.below(62));
            "wall"
        }
        5 => {
            seal.monotonic >>= 1 + random.below(8);
            "monotonic"
        }
        6 => {
            seal.counters.received += random.next() % 2;
            seal.counters.sealed += 1;
            "counters"
        }
        7 => {
            seal.root[0] ^= 1;
            "root"
        }
        8 => {
            seal.stream = random.pick(&base.streams)?;
            "stream"
        }
        _ => {
            seal.wall_behind += 1;
            "wall behind"
        }
    };
    let signed = seal.sign(&SecretKey::from_seed(&mut seed)).encode();
    body[..SEAL_LEN].copy_from_slice(&signed);
    tree.files.insert(name.clone(), segment.write());
    Some(format!("{said} of record {at} of {name} signed again"))
}
