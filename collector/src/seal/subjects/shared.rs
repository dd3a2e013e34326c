//! The subjects as the streams of one process share them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::{Change, Known, Owed, SubjectKey, SubjectName, Subjects, SubjectsError};

/// One place of subjects, used by every stream in turn; cloning shares it.
#[derive(Clone)]
pub(crate) struct SharedSubjects {
    subjects: Arc<Mutex<Box<dyn Subjects>>>,
    /// How many keys were destroyed since the process started. A stream holds it for reading while it seals under keys, and
    /// whoever destroys one holds it for writing: no stream seals under a key that is no more.
    erasures: Arc<RwLock<u64>>,
}

impl SharedSubjects {
    pub(crate) fn new(subjects: Box<dyn Subjects>) -> Self {
        Self { subjects: Arc::new(Mutex::new(subjects)), erasures: Arc::default() }
    }

    pub(crate) fn erasures(&self) -> Arc<RwLock<u64>> {
        Arc::clone(&self.erasures)
    }

    fn lock(&self) -> MutexGuard<'_, Box<dyn Subjects>> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subjects for SharedSubjects {
    fn obtain(&mut self, names: &[SubjectName]) -> Result<HashMap<SubjectName, SubjectKey>, SubjectsError> {
        self.lock().obtain(names)
    }

    fn find(&self, id: &[u8; 16]) -> Result<Option<SubjectKey>, SubjectsError> {
        self.lock().find(id)
    }

    fn known(&self, id: &[u8; 16]) -> Result<Option<Known>, SubjectsError> {
        self.lock().known(id)
    }

    fn changes(&self) -> Result<u64, SubjectsError> {
        self.lock().changes()
    }

    fn change(&mut self, id: &[u8; 16], change: &Change, owed: &Owed) -> Result<(), SubjectsError> {
        self.lock().change(id, change, owed)
    }

    fn scrub(&mut self) -> Result<(), SubjectsError> {
        self.lock().scrub()
    }

    fn owed(&self) -> Result<Vec<(i64, Owed)>, SubjectsError> {
        self.lock().owed()
    }

    fn settle(&mut self, number: i64) -> Result<(), SubjectsError> {
        self.lock().settle(number)
    }
}
