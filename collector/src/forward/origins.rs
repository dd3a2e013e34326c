//! Resources and scopes that spans refer to, by the index of the event that holds them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::shipment::Origin;

/// A resource or a scope, readable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) content: Bytes,
    /// With notes instead of what was put back, when anything was.
    pub(super) abridged: Option<Bytes>,
    pub(super) schema_url: String,
    /// Under whose keys values were that were put back into it.
    pub(super) restored: Vec<[u8; 16]>,
}

impl Shared {
    /// Returns where in memory it is: as long as it is held, nothing else is there.
    pub(super) fn place(&self) -> usize {
        self.content.as_ptr().addr()
    }

    pub(super) fn bytes(&self) -> usize {
        self.content.len() + self.abridged.as_ref().map_or(0, Bytes::len) + self.schema_url.len()
    }
}

/// Those of one run of 65,536 events: a span never refers outside of its own (format.md section 15).
#[derive(Debug, Default)]
pub(super) struct Origins {
    run: u64,
    shared: HashMap<u64, Shared>,
    origins: HashMap<(u64, u64), Arc<Origin>>,
    bytes: usize,
}

impl Origins {
    /// Remembers what the event at an index holds.
    pub(super) fn note(&mut self, index: u64, shared: Option<Shared>) {
        let Some(shared) = shared else { return };
        // One that is larger is remembered alone: its values are not decrypted anew for each of its spans.
        if index >> RUN_BITS != self.run || self.bytes + shared.bytes() > BYTES_MAX {
            *self = Self { run: index >> RUN_BITS, ..Self::default() };
        }
        self.bytes += shared.bytes();
        self.shared.insert(index, shared);
    }

    /// Forgets everything when a key is gone under which something of it was: it is read again, without the values.
    pub(super) fn forget_erased(&mut self, has_key: impl FnMut(&[u8; 16]) -> bool) {
        let mut restored: Vec<&[u8; 16]> = self.shared.values().flat_map(|shared| &shared.restored).collect();
        restored.sort_unstable();
        restored.dedup();
        if !restored.into_iter().all(has_key) {
            *self = Self { run: self.run, ..Self::default() };
        }
    }

    /// Forgets what is over the limit: one large resource is not held for each stream, and between shipments.
    pub(super) fn forget_large(&mut self) {
        if self.bytes > BYTES_MAX {
            *self = Self { run: self.run, ..Self::default() };
        }
    }

    /// Returns where a span comes from; `look_up` finds what is not remembered. What cannot be found is empty: the span
    /// goes on without.
    pub(super) fn of(
        &mut self,
        resource: u64,
        scope: u64,
        mut look_up: impl FnMut(u64) -> io::Result<Option<Shared>>,
    ) -> io::Result<Arc<Origin>> {
        if let Some(origin) = self.origins.get(&(resource, scope)) {
            return Ok(Arc::clone(origin));
        }
        let mut find = |index: u64| -> io::Result<Shared> {
            if let Some(shared) = self.shared.get(&index) {
                return Ok(shared.clone());
            }
            if index == 0 {
                return Ok(Shared::default()); // there is none
            }
            let found = look_up(index)?.unwrap_or_default();
            // What lies before the run should not be referred to, and must not displace what is.
            if index >> RUN_BITS >= self.run {
                self.note(index, Some(found.clone()));
            }
            Ok(found)
        };
        let found = Origin { resource: find(resource)?, scope: find(scope)? };
        let origin = Arc::new(found);
        self.bytes += origin.resource.bytes() + origin.scope.bytes();
        self.origins.insert((resource, scope), Arc::clone(&origin));
        Ok(origin)
    }
}

const RUN_BITS: u32 = 16;
/// Remembered at most; then all is looked up anew.
const BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(text: &'static str) -> Shared {
        Shared {
            content: Bytes::from_static(text.as_bytes()),
            schema_url: format!("url of {text}"),
            ..Shared::default()
        }
    }

    #[test]
    fn remembers_what_was_sealed_in_the_run_and_looks_up_the_rest() {
        let mut origins = Origins::default();
        origins.note(3, Some(shared("resource")));
        let mut asked = Vec::new();
        for _ in 0..2 {
            let origin = origins.of(3, 4, |index| {
                asked.push(index);
                Ok(Some(shared("scope")))
            });
            let origin = origin.unwrap();
            assert_eq!((&origin.resource.content[..], &origin.scope.content[..]), (&b"resource"[..], &b"scope"[..]));
            assert_eq!(origin.scope.schema_url, "url of scope");
        }
        assert_eq!(asked, [4]);
    }

    #[test]
    fn keeps_the_run_when_a_span_refers_to_nothing_or_to_an_earlier_one() {
        let mut origins = Origins::default();
        origins.note(2 << RUN_BITS, Some(shared("resource")));
        let mut asked = 0;
        let origin = origins.of(2 << RUN_BITS, 0, |_| unreachable!()).unwrap();
        assert_eq!(origin.scope.content, Bytes::new());
        origins
            .of(7, 0, |_| {
                Ok(Some({
                    asked += 1;
                    shared("earlier")
                }))
            })
            .unwrap();
        assert_eq!((asked, origins.shared.len()), (1, 1));
    }

    #[test]
    fn forgets_when_the_run_changes() {
        let mut origins = Origins::default();
        origins.note(3, Some(shared("old")));
        origins.note(1 << RUN_BITS, Some(shared("new")));
        assert_eq!(origins.shared.len(), 1);
    }

    #[test]
    fn forgets_what_was_put_back_under_a_key_that_is_gone() {
        let mut origins = Origins::default();
        origins.note(3, Some(Shared { restored: vec![[7; 16]], ..shared("with a value") }));
        origins.of(3, 0, |_| unreachable!()).unwrap();
        origins.forget_erased(|_| true);
        assert_eq!(origins.of(3, 0, |_| unreachable!()).unwrap().resource.restored, [[7; 16]]);
        origins.forget_erased(|subject| *subject != [7; 16]);
        let origin = origins.of(3, 0, |_| Ok(Some(shared("without it")))).unwrap();
        assert_eq!(origin.resource.content, "without it");
    }

    #[test]
    fn remembers_no_more_than_its_limit_or_one() {
        let mut origins = Origins::default();
        let large = |bytes| Some(Shared { content: vec![0; bytes].into(), ..Shared::default() });
        origins.note(1, large(BYTES_MAX / 2));
        origins.note(2, large(BYTES_MAX / 2));
        assert_eq!(origins.shared.len(), 2);
        origins.note(3, large(2 * BYTES_MAX));
        assert_eq!(origins.shared.keys().collect::<Vec<_>>(), [&3]);
        origins.forget_large();
        assert_eq!(origins.shared.len(), 0);
    }

    #[test]
    fn forwards_without_what_cannot_be_found() {
        let origin = Origins::default().of(1, 2, |_| Ok(None)).unwrap();
        assert_eq!(*origin, Origin::default());
    }
}
