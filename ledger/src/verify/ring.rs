//! The long-lived keys of a deployment and the root leaves between which each holds (format.md section 8).

use alloc::vec::Vec;

use super::Code;
use super::faults::Finding;
use crate::checkpoint::NoteKeys;
use crate::id::Role;
use crate::key::{KeyId, PublicKey};

/// A key of a role and its range of root leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registered {
    pub(super) role: Role,
    pub(super) key: PublicKey,
    pub(super) id: KeyId,
    /// The first leaf it may sign.
    from: u64,
    /// The first leaf that it may no longer sign.
    until: Option<u64>,
    revoked: bool,
}

impl Registered {
    /// Whether the key may sign the leaf at `index`.
    pub(super) fn check_range(&self, index: u64) -> Result<(), Finding> {
        let detail = super::Detail::Key(self.id);
        if index < self.from {
            Err((Code::EarlyKey, detail).into())
        } else if self.until.is_some_and(|until| index >= until) {
            Err((Code::RetiredKey, detail).into())
        } else {
            Ok(())
        }
    }

    /// Whether the key may sign some leaf after `index`, or the next to come, and was not revoked.
    fn holds_after(&self, index: u64) -> bool {
        !self.revoked && self.until.is_none_or(|until| until > index + 1)
    }
}

/// Every key that the root log registers for a role.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyRing {
    keys: Vec<Registered>,
}

impl KeyRing {
    pub(super) fn find(&self, role: Role, id: &KeyId) -> Option<&Registered> {
        self.keys.iter().find(|key| key.role == role && key.id == *id)
    }

    pub(super) fn contains(&self, id: &KeyId) -> bool {
        self.keys.iter().any(|key| key.id == *id)
    }

    /// The key of a role that has not ended.
    pub(super) fn in_force(&self, role: Role) -> Option<&PublicKey> {
        self.of(role).find(|key| key.until.is_none()).map(|key| &key.key)
    }

    /// Registers a key from leaf `from` on, and retires the role's previous one there.
    pub(super) fn register(&mut self, role: Role, key: PublicKey, id: KeyId, from: u64) {
        for previous in self.keys.iter_mut().filter(|key| key.role == role && key.until.is_none()) {
            previous.until = Some(from);
        }
        self.keys.push(Registered { role, key, id, from, until: None, revoked: false });
    }

    /// Ends a key of any role at leaf `until`.
    pub(super) fn revoke(&mut self, id: &KeyId, until: u64) {
        for key in self.keys.iter_mut().filter(|key| key.id == *id) {
            key.until.get_or_insert(until);
            key.revoked = true;
        }
    }

    /// The keys that may sign the root log's note of size `size`, which counts as leaf `size`; those registered later.
    pub(super) fn for_root_note(&self, role: Role, size: u64) -> (NoteKeys, Vec<PublicKey>) {
        let early = self.of(role).filter(|key| size < key.from).map(|key| key.key).collect();
        let known = self.of(role).filter(|key| size >= key.from);
        (split(known, |key| key.check_range(size).is_ok()), early)
    }

    /// The keys that may sign a note younger than the leaf at `index`.
    pub(super) fn for_note_after(&self, role: Role, index: u64) -> NoteKeys {
        split(self.of(role), |key| key.holds_after(index))
    }

    /// Every key that was ever registered for a role.
    pub(super) fn for_pin(&self, role: Role) -> NoteKeys {
        split(self.of(role), |_| true)
    }

    fn of(&self, role: Role) -> impl Iterator<Item = &Registered> {
        self.keys.iter().filter(move |key| key.role == role)
    }
}

fn split<'a>(keys: impl Iterator<Item = &'a Registered>, in_force: impl Fn(&Registered) -> bool) -> NoteKeys {
    let mut split = NoteKeys::default();
    for key in keys {
        let list = if in_force(key) { &mut split.in_force } else { &mut split.ended };
        list.push(key.key);
    }
    split
}
