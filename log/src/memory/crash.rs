//! What a power cut leaves.

use super::tree::{FileNode, Inode, Tree};

impl Tree {
    /// Leaves what was synced, and nothing else.
    pub(super) fn drop_unsynced(&mut self) {
        for inode in &mut self.inodes {
            match inode {
                Inode::File(file) => file.bytes.clone_from(&file.durable),
                Inode::Dir(dir) => dir.entries.clone_from(&dir.durable),
            }
        }
        self.settle();
    }

    /// Leaves what was synced and a part of what was not.
    pub(super) fn keep_some_unsynced(&mut self, seed: u64) {
        let mut dice = Dice(seed);
        for inode in &mut self.inodes {
            match inode {
                Inode::File(file) => keep_some_sectors(file, &mut dice),
                Inode::Dir(dir) => {
                    let kept = dice.below(dir.unsynced.len() + 1);
                    for change in dir.unsynced.drain(..kept) {
                        change.apply(&mut dir.durable);
                    }
                    dir.entries.clone_from(&dir.durable);
                }
            }
        }
        self.settle();
    }

    /// After the crash the disk and its view are the same.
    fn settle(&mut self) {
        for inode in &mut self.inodes {
            match inode {
                Inode::File(file) => {
                    file.durable.clone_from(&file.bytes);
                    file.dirty.clear();
                    file.allocated = 0;
                }
                Inode::Dir(dir) => dir.unsynced.clear(),
            }
        }
    }
}

/// Takes each sector from the disk or from the view, and one length between theirs.
fn keep_some_sectors(file: &mut FileNode, dice: &mut Dice) {
    const SECTOR: usize = 512;
    if file.bytes == file.durable {
        return;
    }
    let (short, long) = (file.bytes.len().min(file.durable.len()), file.bytes.len().max(file.durable.len()));
    let size = match dice.below(3) {
        0 => short,
        1 => long,
        _ => short + dice.below(long - short + 1),
    };
    file.bytes.resize(long, 0);
    file.durable.resize(long, 0);
    for (seen, durable) in file.bytes.chunks_mut(SECTOR).zip(file.durable.chunks(SECTOR)) {
        if dice.below(2) == 0 {
            seen.copy_from_slice(durable);
        }
    }
    file.bytes.truncate(size);
}

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }
}
