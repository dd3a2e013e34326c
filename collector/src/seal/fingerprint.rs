//! Keyed 128-bit fingerprints: what retries and shared messages are recognised by.

use std::hash::Hasher;
use std::num::NonZeroUsize;

use highway::{HighwayHash, HighwayHasher, Key};
use sha2::{Digest, Sha256};
use siphasher::sip128::{Hasher128, SipHasher13};
use spanseal_schemas::event::What;

use super::window::Fingerprint;
use crate::intake::Tenant;

/// Computes fingerprints under the data directory's key, so that nobody else can make two that are alike.
///
/// SipHash-1-3 with 128 bits for what is short or seldom; for the bytes of every span HighwayHash, in half the time. Nothing
/// outside the process says what a span's fingerprint is: after a start they are computed again from the log.
#[derive(Clone)]
pub(crate) struct Fingerprints {
    /// For ids. The state is keyed once and copied for each fingerprint.
    ids: SipHasher13,
    /// For resources, scopes and other shared messages. Subjects are named by these, so they stay what they are.
    bytes: SipHasher13,
    /// For spans.
    spans: HighwayHasher,
}

impl Fingerprints {
    /// `key` is the content of `keys/dedup.key`.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let spans = Sha256::new_with_prefix(SPANS_KEY).chain_update(key).finalize();
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(spans.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        let (ids, bytes) = key.split_at(16);
        let keyed = |half: &[u8]| {
            let mut key = [0; 16];
            key.copy_from_slice(half);
            SipHasher13::new_with_key(&key)
        };
        Self { ids: keyed(ids), bytes: keyed(bytes), spans: HighwayHasher::new(Key(words)) }
    }

    /// Returns the fingerprint of one span under its resource and scope, given those of their contents.
    pub(crate) fn span(&self, ids: &SpanIds<'_>, resource: u128, scope: u128, span: &[u8]) -> Fingerprint {
        let mut key = self.ids;
        key.write(ids.tenant.as_bytes());
        // The rest is of fixed length, so that no tenant's name runs into it.
        key.write(ids.trace_id);
        key.write(ids.span_id);
        let mut value = self.spans.clone();
        value.append([resource.to_le_bytes(), scope.to_le_bytes()].as_flattened());
        value.append(span);
        let [low, high] = value.finalize128();
        Fingerprint { key: key.finish128().as_u128(), value: u128::from(high) << 64 | u128::from(low) }
    }

    /// Returns the number of the stream, out of so many, that gets a trace: the same after a restart, so that a retry meets what
    /// it repeats.
    pub(crate) fn stream(&self, trace_id: &[u8; 16], streams: NonZeroUsize) -> u8 {
        if streams.get() == 1 {
            return 0;
        }
        let mut print = self.ids;
        print.write(trace_id);
        (print.finish128().h1 % streams.get() as u64) as u8
    }

    /// Returns the fingerprint of a resource, a scope or another shared message, whoever sent it.
    pub(crate) fn content(&self, what: What, schema_url: &[u8], content: &[u8]) -> u128 {
        let mut print = self.bytes;
        print.write_u32(what as u32);
        print.write_usize(schema_url.len());
        print.write(schema_url);
        print.write(content);
        print.finish128().as_u128()
    }

    /// Returns the fingerprint of what a resource event says: the content and whose it is.
    pub(crate) fn shared(&self, content: u128, tenant: &Tenant) -> u128 {
        let mut print = self.bytes;
        print.write_u128(content);
        print.write_usize(tenant.name.len());
        print.write(tenant.name.as_bytes());
        print.write(tenant.peer.as_bytes());
        print.finish128().as_u128()
    }
}

/// What the hash that is the key for spans begins with.
const SPANS_KEY: &str = "spanseal fingerprints of spans";

/// What makes a span that span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanIds<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) trace_id: &'a [u8; 16],
    pub(crate) span_id: &'a [u8; 8],
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn tells_apart_whatever_differs() {
        let prints = Fingerprints::new(&[1; 32]);
        let ids = |tenant, trace, span| SpanIds { tenant, trace_id: trace, span_id: span };
        let (trace, other_trace, span, other_span) = (&[1; 16], &[2; 16], &[1; 8], &[2; 8]);
        let of = |ids, resource, scope, bytes: &[u8]| prints.span(&ids, resource, scope, bytes);
        let first = of(ids("a", trace, span), 1, 2, b"span");
        let keys = [
            first.key,
            of(ids("b", trace, span), 1, 2, b"span").key,
            of(ids("a", other_trace, span), 1, 2, b"span").key,
            of(ids("a", trace, other_span), 1, 2, b"span").key,
        ];
        assert_eq!(BTreeSet::from(keys).len(), 4);
        let values = [
            first.value,
            of(ids("a", trace, span), 2, 1, b"span").value,
            of(ids("a", trace, span), 1, 3, b"span").value,
            of(ids("a", trace, span), 1, 2, b"spam").value,
        ];
        assert_eq!(BTreeSet::from(values).len(), 4);
        assert_eq!(of(ids("b", other_trace, span), 1, 2, b"span").value, first.value);
        assert_ne!(Fingerprints::new(&[2; 32]).span(&ids("a", trace, span), 1, 2, b"span"), first);
    }

    #[test]
    fn belongs_to_one_tenant_and_peer() {
        let prints = Fingerprints::new(&[1; 32]);
        let content = prints.content(What::Resource, b"", b"content");
        let of = |name: &str, peer: &str| prints.shared(content, &Tenant { name: name.into(), peer: peer.into() });
        assert_eq!(BTreeSet::from([of("a", ""), of("b", ""), of("a", "b"), of("", "ab"), of("ab", "")]).len(), 5);
        assert_ne!(content, prints.content(What::Scope, b"", b"content"));
        assert_ne!(content, prints.content(What::Resource, b"con", b"tent"));
    }
}
