//! Subjects in memory: what is durable outlives the processes of a test, and any operation can fail.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{Change, Hold, Known, Owed, SubjectKey, SubjectName, Subjects, SubjectsError};

/// A disk's worth of subjects, shared by the processes of one test one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct SubjectMemory {
    disk: Arc<Mutex<Files>>,
    /// No key can be made.
    pub(crate) is_failing: Arc<AtomicBool>,
}

/// What survives a crash: every change as a whole once it is made, and copies of destroyed keys until they are scrubbed.
#[derive(Debug, Default)]
struct Files {
    keys: HashMap<SubjectName, SubjectKey>,
    holds: HashMap<[u8; 16], Hold>,
    owed: BTreeMap<i64, Owed>,
    numbers: i64,
    copies: HashSet<[u8; 32]>,
    /// Operations so far, and the one that fails.
    operations: u64,
    fault: Option<(u64, SubjectFault)>,
    dead: bool,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubjectFault {
    Unwritten,
    /// It has its effect all the same.
    Written,
    /// The process dies before it, or after it.
    DieBefore,
    DieAfter,
}

impl SubjectMemory {
    /// The operation after so many more ones fails.
    pub(crate) fn fault_after(&self, operations: u64, fault: SubjectFault) {
        let mut files = self.disk.lock().unwrap();
        files.fault = Some((files.operations + operations, fault));
    }

    /// Loses every key at once.
    pub(crate) fn destroy_all(&self) {
        self.disk.lock().unwrap().keys.clear();
    }

    /// Whether the process died in here.
    pub(crate) fn is_dead(&self) -> bool {
        self.disk.lock().unwrap().dead
    }

    /// Another process opens what is durable.
    pub(crate) fn revive(&self) {
        let mut files = self.disk.lock().unwrap();
        (files.dead, files.fault) = (false, None);
    }

    pub(crate) fn operations(&self) -> u64 {
        self.disk.lock().unwrap().operations
    }

    /// As [`Subjects::changes`], and never fails.
    pub(crate) fn changes_made(&self) -> u64 {
        self.disk.lock().unwrap().numbers.cast_unsigned()
    }

    /// Returns the subject of a name.
    pub(crate) fn named(&self, subject: &str) -> Option<SubjectKey> {
        let files = self.disk.lock().unwrap();
        files.keys.iter().find(|(name, _)| name.subject == subject).map(|(_, key)| key.clone())
    }

    /// Returns the one subject that is a resource or scope by itself.
    pub(crate) fn only_shared(&self) -> SubjectKey {
        let files = self.disk.lock().unwrap();
        let mut shared = files.keys.iter().filter(|(name, _)| name.subject.starts_with("shared:"));
        let (_, key) = shared.next().unwrap();
        assert!(shared.next().is_none());
        key.clone()
    }

    /// Whether a disk's finder could read the key.
    pub(crate) fn holds_key(&self, key: &SubjectKey) -> bool {
        let files = self.disk.lock().unwrap();
        files.copies.contains(key.key()) || files.keys.values().any(|held| held.key() == key.key())
    }

    /// Does one operation, or fails it.
    fn operation<T>(&self, work: impl FnOnce(&mut Files) -> T) -> Result<T, SubjectsError> {
        let mut files = self.disk.lock().unwrap();
        let failed = || Err(SubjectsError::Create(ErrorKind::Other.into()));
        if files.dead {
            return failed();
        }
        let now = files.operations;
        files.operations += 1;
        match files.fault.filter(|(at, _)| *at == now).map(|(_, fault)| fault) {
            None => Ok(work(&mut files)),
            Some(fault) => {
                if matches!(fault, SubjectFault::Written | SubjectFault::DieAfter) {
                    work(&mut files);
                }
                files.dead = matches!(fault, SubjectFault::DieBefore | SubjectFault::DieAfter);
                failed()
            }
        }
    }
}

impl Subjects for SubjectMemory {
    fn obtain(&mut self, names: &[SubjectName]) -> Result<HashMap<SubjectName, SubjectKey>, SubjectsError> {
        if self.is_failing.load(Ordering::Relaxed) {
            return Err(SubjectsError::Create(ErrorKind::StorageFull.into()));
        }
        self.operation(|files| {
            for name in names {
                files.keys.entry(name.clone()).or_insert_with(|| SubjectKey::draw().unwrap());
            }
            names.iter().map(|name| (name.clone(), files.keys[name].clone())).collect()
        })
    }

    fn find(&self, id: &[u8; 16]) -> Result<Option<SubjectKey>, SubjectsError> {
        Ok(self.disk.lock().unwrap().keys.values().find(|key| key.id == *id).cloned())
    }

    fn known(&self, id: &[u8; 16]) -> Result<Option<Known>, SubjectsError> {
        self.operation(|files| {
            let (name, key) = files.keys.iter().find(|(_, key)| key.id == *id)?;
            Some(Known { id: key.id, name: name.clone(), hold: files.holds.get(id).cloned() })
        })
    }

    fn changes(&self) -> Result<u64, SubjectsError> {
        self.operation(|files| files.numbers.cast_unsigned())
    }

    fn change(&mut self, id: &[u8; 16], change: &Change, owed: &Owed) -> Result<(), SubjectsError> {
        self.operation(|files| {
            match change {
                Change::Destroy => {
                    let destroyed = files.keys.extract_if(|_, key| key.id == *id);
                    files.copies.extend(destroyed.map(|(_, key)| *key.key()).collect::<Vec<_>>());
                }
                Change::Hold(hold) => drop(files.holds.insert(*id, hold.clone())),
                Change::Release => drop(files.holds.remove(id)),
            }
            files.numbers += 1;
            let number = files.numbers;
            files.owed.insert(number, owed.clone());
        })
    }

    fn scrub(&mut self) -> Result<(), SubjectsError> {
        self.operation(|files| files.copies.clear())
    }

    fn owed(&self) -> Result<Vec<(i64, Owed)>, SubjectsError> {
        self.operation(|files| files.owed.iter().map(|(number, owed)| (*number, owed.clone())).collect())
    }

    fn settle(&mut self, number: i64) -> Result<(), SubjectsError> {
        self.operation(|files| drop(files.owed.remove(&number)))
    }
}
