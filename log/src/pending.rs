//! The group that waits for its commit, laid out in memory as it will lie in the file.

/// Bytes that start at an address with the remainder modulo [`BLOCK`] of the file offset they will be written at.
///
/// Direct writes take whole blocks of the file from whole blocks of memory; what lies so need not be copied for them. A
/// group that makes the buffer grow may lose its place: it is only dearer to write.
#[derive(Debug)]
pub(crate) struct Pending {
    buffer: Vec<u8>,
    /// Bytes of the buffer before the group.
    lead: usize,
}

impl Pending {
    /// Returns an empty group that will be written at an offset.
    pub(crate) fn at(offset: u64) -> Self {
        let mut pending = Self { buffer: Vec::with_capacity(BLOCK), lead: 0 };
        pending.restart(offset, 0);
        pending
    }

    /// Empties the group, and keeps memory for one of so many bytes; the next one will be written at an offset.
    pub(crate) fn restart(&mut self, offset: u64, bytes_kept: usize) {
        self.buffer.clear();
        self.buffer.shrink_to(bytes_kept.saturating_add(BLOCK));
        let address = self.buffer.as_ptr() as usize;
        self.lead = (offset as usize).wrapping_sub(address) % BLOCK;
        self.buffer.resize(self.lead, 0);
    }

    /// Where records are appended; what is there already stays.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.lead..).unwrap_or_default()
    }
}

/// A multiple of every block size that disks have.
pub(crate) const BLOCK: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_in_memory_as_in_the_file() {
        let mut pending = Pending::at(264);
        for offset in [264, 0, 1, 4095, 4096, (1 << 40) + 777] {
            pending.restart(offset, 1000);
            assert_eq!(pending.bytes(), b"");
            assert_eq!(pending.bytes().as_ptr() as usize % BLOCK, offset as usize % BLOCK, "at {offset}");
            pending.out().extend_from_slice(&[7; 100]);
            assert_eq!(pending.bytes(), [7; 100]);
        }
    }
}
