//! The keys of the attributes whose values are kept out: looked for with every attribute of every span.

/// A set of keys. Most attributes are told from all of them by the length of their key alone.
#[derive(Debug)]
pub(crate) struct KeepOut {
    /// Bit n: there is a key of n bytes; the highest stands for all that are longer.
    lengths: u128,
    /// By length.
    keys: Box<[String]>,
}

impl KeepOut {
    pub(crate) fn new(keys: impl IntoIterator<Item = String>) -> Self {
        let mut keys: Box<[String]> = keys.into_iter().collect();
        keys.sort_unstable_by_key(String::len);
        let lengths = keys.iter().fold(0, |lengths, key| lengths | length_bit(key));
        Self { lengths, keys }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    #[inline]
    pub(crate) fn has(&self, key: &str) -> bool {
        self.lengths & length_bit(key) != 0 && self.is_among(key)
    }

    fn is_among(&self, key: &str) -> bool {
        let first = self.keys.partition_point(|known| known.len() < key.len());
        self.keys[first..].iter().take_while(|known| known.len() == key.len()).any(|known| known == key)
    }
}

fn length_bit(key: &str) -> u128 {
    1 << key.len().min(127)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn has_what_a_set_has(keys in prop::collection::hash_set("[ab]{0,4}|c{126,130}", 0..9), asked in "[ab]{0,4}|c{126,130}") {
            let keep_out = KeepOut::new(keys.clone());
            prop_assert_eq!(keep_out.has(&asked), keys.contains(&asked));
            prop_assert!(keys.iter().all(|key| keep_out.has(key)));
        }
    }

    #[test]
    fn an_empty_one_has_nothing() {
        let keep_out = KeepOut::new(HashSet::new());
        assert!(keep_out.is_empty() && !keep_out.has(""));
    }
}
