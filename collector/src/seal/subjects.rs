//! The keys of subjects: whose key is destroyed, whose cut bytes can no longer be read.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use zeroize::Zeroizing;

/// On whose account bytes are cut: the value of the configured attribute, else the trace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SubjectName {
    pub(crate) tenant: String,
    /// `attribute:<value>` or `trace:<hex>`.
    pub(crate) subject: String,
}

/// A subject's id, which its records carry, and its key.
#[derive(Clone)]
pub struct SubjectKey {
    pub id: [u8; 16],
    key: Zeroizing<[u8; 32]>,
}

impl SubjectKey {
    pub(crate) fn new(id: [u8; 16], key: [u8; 32]) -> Self {
        Self { id, key: Zeroizing::new(key) }
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubjectKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The subjects' keys cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectsError {
    #[error("the subjects' keys cannot be read or written")]
    Store(#[from] rusqlite::Error),
    #[error("the file of the subjects' keys cannot be created")]
    Create(#[source] std::io::Error),
    #[error("there is no randomness for a subject's key")]
    Random(#[from] getrandom::Error),
}

/// Where subjects' keys rest: a file of the data directory, memory in tests.
pub(crate) trait Subjects: Send {
    /// Returns the key of each subject, made where there was none; all are durable when it returns.
    fn obtain(&mut self, names: &[SubjectName]) -> Result<HashMap<SubjectName, SubjectKey>, SubjectsError>;

    /// Returns the key with an id, unless it was destroyed.
    fn find(&self, id: &[u8; 16]) -> Result<Option<SubjectKey>, SubjectsError>;
}

/// `subjects.sqlite`: one row a subject, the keys overwritten when deleted.
#[derive(Debug)]
pub struct SubjectFile {
    connection: Connection,
}

impl SubjectFile {
    /// Opens the file, made with mode 0600 where there is none.
    ///
    /// # Errors
    /// When it cannot be created or is no such database.
    pub fn open(path: &Path) -> Result<Self, SubjectsError> {
        create_private(path).map_err(SubjectsError::Create)?;
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(BUSY)?;
        // FULL: a key is durable before the first record under it is.
        connection.execute_batch(
            "pragma journal_mode = wal;
             pragma synchronous = full;
             pragma secure_delete = on;
             create table if not exists subject (
                 id blob primary key,
                 tenant text not null,
                 subject text not null,
                 key blob not null,
                 unique (tenant, subject)
             ) without rowid;",
        )?;
        Ok(Self { connection })
    }

    /// Opens the file to look keys up; it must be there.
    ///
    /// # Errors
    /// When it is not there or no such database.
    pub fn open_reader(path: &Path) -> Result<Self, SubjectsError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY)?;
        Ok(Self { connection })
    }

    /// Returns the key with an id, unless it was destroyed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(&self, id: &[u8; 16]) -> Result<Option<SubjectKey>, SubjectsError> {
        let mut query = self.connection.prepare_cached("select id, key from subject where id = ?1")?;
        Ok(query.query_row(params![id], |row| Ok(SubjectKey::new(row.get(0)?, row.get(1)?))).optional()?)
    }
}

impl Subjects for SubjectFile {
    fn obtain(&mut self, names: &[SubjectName]) -> Result<HashMap<SubjectName, SubjectKey>, SubjectsError> {
        let mut keys = HashMap::with_capacity(names.len());
        let transaction = self.connection.transaction()?;
        for name in names {
            if !keys.contains_key(name) {
                keys.insert(name.clone(), obtain_one(&transaction, name)?);
            }
        }
        transaction.commit()?;
        Ok(keys)
    }

    fn find(&self, id: &[u8; 16]) -> Result<Option<SubjectKey>, SubjectsError> {
        SubjectFile::find(self, id)
    }
}

fn obtain_one(connection: &Connection, name: &SubjectName) -> Result<SubjectKey, SubjectsError> {
    let mut query = connection.prepare_cached("select id, key from subject where tenant = ?1 and subject = ?2")?;
    let found = query
        .query_row(params![name.tenant, name.subject], |row| Ok(SubjectKey::new(row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some(found) = found {
        return Ok(found);
    }
    let made = draw_key()?;
    connection
        .prepare_cached("insert into subject (id, tenant, subject, key) values (?1, ?2, ?3, ?4)")?
        .execute(params![made.id, name.tenant, name.subject, made.key()])?;
    Ok(made)
}

fn draw_key() -> Result<SubjectKey, getrandom::Error> {
    let mut drawn = SubjectKey::new([0; 16], [0; 32]);
    getrandom::fill(&mut drawn.id)?;
    getrandom::fill(drawn.key.as_mut())?;
    Ok(drawn)
}

fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match opened {
        // SQLite syncs its name with the first commit.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

const BUSY: Duration = Duration::from_secs(5);

/// Keys in memory, shared by the runs of one test.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct SubjectMemory {
    keys: std::sync::Arc<std::sync::Mutex<HashMap<SubjectName, SubjectKey>>>,
    pub(crate) is_failing: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

#[cfg(test)]
impl SubjectMemory {
    pub(crate) fn destroy_all(&self) {
        self.keys.lock().unwrap().clear();
    }
}

#[cfg(test)]
impl Subjects for SubjectMemory {
    fn obtain(&mut self, names: &[SubjectName]) -> Result<HashMap<SubjectName, SubjectKey>, SubjectsError> {
        if self.is_failing.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(SubjectsError::Create(std::io::ErrorKind::StorageFull.into()));
        }
        let mut keys = self.keys.lock().unwrap();
        for name in names {
            if !keys.contains_key(name) {
                keys.insert(name.clone(), draw_key()?);
            }
        }
        Ok(names.iter().map(|name| (name.clone(), keys[name].clone())).collect())
    }

    fn find(&self, id: &[u8; 16]) -> Result<Option<SubjectKey>, SubjectsError> {
        Ok(self.keys.lock().unwrap().values().find(|key| key.id == *id).cloned())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rusqlite::types::Value;

    use super::*;

    fn name(tenant: &str, subject: &str) -> SubjectName {
        SubjectName { tenant: tenant.to_owned(), subject: subject.to_owned() }
    }

    #[test]
    fn keeps_one_key_a_subject_and_tenant_across_restarts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("subjects.sqlite");
        let names = [name("a", "trace:1"), name("b", "trace:1"), name("a", "trace:1")];
        let first = SubjectFile::open(&path).unwrap().obtain(&names).unwrap();
        assert_eq!(first.len(), 2);
        assert_ne!(first[&names[0]].key(), first[&names[1]].key());
        let mut again = SubjectFile::open(&path).unwrap();
        let second = again.obtain(&names[..1]).unwrap();
        assert_eq!(first[&names[0]].key(), second[&names[0]].key());
        let found = SubjectFile::open_reader(&path).unwrap().find(&second[&names[0]].id).unwrap().unwrap();
        assert_eq!(found.key(), second[&names[0]].key());
        assert!(again.find(&[0; 16]).unwrap().is_none());
    }

    /// 2 is FULL: each commit syncs the write-ahead log, the first one its name as well (`tests/real/strace.py` looks).
    #[test]
    fn a_key_is_durable_when_it_is_obtained() {
        let directory = tempfile::tempdir().unwrap();
        let subjects = SubjectFile::open(&directory.path().join("subjects.sqlite")).unwrap();
        let pragma = |name: &str| subjects.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap();
        assert_eq!((pragma("journal_mode"), pragma("synchronous")), (Value::Text("wal".to_owned()), Value::Integer(2)));
    }

    #[test]
    fn is_readable_by_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("subjects.sqlite");
        let mut subjects = SubjectFile::open(&path).unwrap();
        subjects.obtain(&[name("a", "trace:1")]).unwrap();
        for file in std::fs::read_dir(directory.path()).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        }
    }

    #[test]
    fn prints_no_key() {
        let printed = format!("{:?}", SubjectKey::new([1; 16], [0xAB; 32]));
        assert!(!printed.contains("171"), "{printed}");
    }
}
