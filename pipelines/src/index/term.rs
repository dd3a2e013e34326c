//! What can be searched for, as numbers: one for each thing that an event may say.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::value::Value;

/// A term: the first 56 bits of a keyed hash. Two things share one by chance in 10^9 searches of 100 million, and not on
/// purpose, since the key is drawn for each index.
pub(crate) type Term = u64;

pub(crate) const TERM_BITS: u32 = 56;

/// Makes the terms of one index.
#[derive(Debug, Clone)]
pub(crate) struct Terms(SipHasher13);

impl Terms {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self(SipHasher13::new_with_key(key))
    }

    pub(crate) fn trace(&self, trace: &[u8; 16]) -> Term {
        self.of(b't', &[trace])
    }

    pub(crate) fn span(&self, span: &[u8; 8]) -> Term {
        self.of(b's', &[span])
    }

    pub(crate) fn name(&self, name: &str) -> Term {
        self.of(b'n', &[Value::text(name).text_bytes()])
    }

    pub(crate) fn kind(&self, kind: u8) -> Term {
        self.of(b'k', &[&[kind]])
    }

    pub(crate) fn verdict(&self, verdict: i32) -> Term {
        self.of(b'v', &[&verdict.to_le_bytes()])
    }

    /// Returns the term of an attribute with a value. Numbers that are equal have one, whole or not.
    pub(crate) fn attribute(&self, key: &str, value: &Value<'_>) -> Term {
        match value.number() {
            // No key in UTF-8 has this byte, so that key and value cannot run into each other.
            None => self.of(b'a', &[key.as_bytes(), &[0xff], value.text_bytes()]),
            Some(number) => self.of(b'#', &[key.as_bytes(), &[0xff], &number]),
        }
    }

    fn of(&self, what: u8, parts: &[&[u8]]) -> Term {
        let mut hasher = self.0;
        hasher.write(&[what]);
        parts.iter().for_each(|part| hasher.write(part));
        hasher.finish() >> (u64::BITS - TERM_BITS)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn gives_equal_things_one_term_and_others_another() {
        let terms = Terms::new(&[7; 16]);
        let attribute = |key, value: Value<'_>| terms.attribute(key, &value);
        assert_eq!(attribute("k", Value::Int(42)), attribute("k", Value::Real(42.0)));
        assert_eq!(attribute("k", Value::Int(0)), attribute("k", Value::Real(-0.0)));
        assert_eq!(attribute("k", Value::Bool(true)), attribute("k", Value::text("true")));
        let different = [
            attribute("k", Value::Int(42)),
            attribute("k", Value::text("42")),
            attribute("k", Value::Real(42.5)),
            attribute("k4", Value::text("2")),
            attribute("other", Value::Int(42)),
            terms.name("42"),
            terms.kind(42),
            terms.verdict(42),
            terms.span(&[42; 8]),
            terms.trace(&[42; 16]),
            Terms::new(&[8; 16]).name("42"),
        ];
        assert_eq!(HashSet::from(different).len(), different.len());
        assert!(different.iter().all(|term| term >> TERM_BITS == 0));
    }
}
