//! Random bytes from the operating system, fetched a page at a time.

/// A buffered source of random bytes for nonces and ids; keys are drawn elsewhere, unbuffered.
pub(crate) struct Nonces {
    bytes: [u8; PAGE],
    used: usize,
}

impl Nonces {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; PAGE], used: PAGE }
    }

    /// Returns bytes that are given out once.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub(crate) fn draw<const N: usize>(&mut self) -> Result<[u8; N], getrandom::Error> {
        const { assert!(N <= PAGE) };
        if PAGE - self.used < N {
            getrandom::fill(&mut self.bytes)?;
            self.used = 0;
        }
        let mut nonce = [0; N];
        nonce.copy_from_slice(&self.bytes[self.used..self.used + N]);
        self.used += N;
        Ok(nonce)
    }
}

const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_gives_the_same_bytes_twice() {
        let mut nonces = Nonces::new();
        let drawn: std::collections::BTreeSet<[u8; 24]> = (0..1000).map(|_| nonces.draw().unwrap()).collect();
        assert_eq!(drawn.len(), 1000);
    }
}
