//! `subjects.sqlite`: who has which key.
//!
//! A key stays where it was written and is overwritten there. SQLite moves rows between pages as a table grows and
//! shrinks, but none in a table that only grows at its end: so keys have a table of their own, from which nothing is
//! deleted, and that no copy is left does not rest on how well a page is cleared from which rows are moved away.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use spanseal_ledger::{EventId, StreamId};

use super::{Change, Hold, Known, Owed, SubjectKey, SubjectName, Subjects, SubjectsError};

/// The subjects' file, open.
#[derive(Debug)]
pub struct SubjectFile {
    connection: Connection,
    path: PathBuf,
}

impl SubjectFile {
    /// Opens the file, made with mode 0600 where there is none.
    ///
    /// # Errors
    /// When it cannot be created or is no such database.
    pub fn open(path: &Path) -> Result<Self, SubjectsError> {
        create_private(path).map_err(SubjectsError::Create)?;
        let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(BUSY)?;
        // FULL: a key is durable before the first record under it is. Nothing temporary is written to other files.
        connection.execute_batch(
            "pragma journal_mode = wal;
             pragma synchronous = full;
             pragma secure_delete = on;
             pragma temp_store = memory;",
        )?;
        match version(&connection)? {
            VERSION => {}
            0 => make_tables(&mut connection)?,
            got => return Err(SubjectsError::Version { got, known: VERSION }),
        }
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Opens the file to look subjects up; it must be there.
    ///
    /// # Errors
    /// When it is not there or no such database.
    pub fn open_reader(path: &Path) -> Result<Self, SubjectsError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY)?;
        match version(&connection)? {
            VERSION => Ok(Self { connection, path: path.to_owned() }),
            got => Err(SubjectsError::Version { got, known: VERSION }),
        }
    }

    /// Returns the key with an id, unless it was destroyed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(&self, id: &[u8; 16]) -> Result<Option<SubjectKey>, SubjectsError> {
        let select =
            "select subject.id, key.key from subject join key on key.number = subject.key where subject.id = ?1";
        let mut query = self.connection.prepare_cached(select)?;
        Ok(query.query_row(params![id], |row| Ok(SubjectKey::new(row.get(0)?, row.get(1)?))).optional()?)
    }

    /// Returns the subject with an id, unless its key was destroyed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn known(&self, id: &[u8; 16]) -> Result<Option<Known>, SubjectsError> {
        Ok(self.select("where subject.id = ?1", id)?.pop())
    }

    /// Returns the subjects of this name, of every tenant that has one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn named(&self, subject: &str) -> Result<Vec<Known>, SubjectsError> {
        self.select("where subject.subject = ?1 order by subject.tenant", subject)
    }

    /// Returns the subjects that are under a legal hold, the oldest hold first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn held(&self) -> Result<Vec<Known>, SubjectsError> {
        self.select("where ?1 and hold.id is not null order by hold.since_unix_nano", true)
    }

    /// Returns how many changes were ever made: erasures, holds and releases. Each adds one in its own transaction, since
    /// the event that it owes gets a number that is never given again.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn changes(&self) -> Result<u64, SubjectsError> {
        let select = "select seq from sqlite_sequence where name = 'owed'";
        let number: Option<i64> = self.connection.query_row(select, [], |row| row.get(0)).optional()?;
        Ok(number.unwrap_or_default().cast_unsigned())
    }

    fn select(&self, which: &str, value: impl rusqlite::ToSql) -> Result<Vec<Known>, SubjectsError> {
        let select = format!(
            "select subject.id, tenant, subject, placed_by, reason, since_unix_nano
             from subject left join hold on hold.id = subject.id {which}"
        );
        let mut query = self.connection.prepare(&select)?;
        Ok(query.query_map(params![value], known)?.collect::<rusqlite::Result<_>>()?)
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

    fn known(&self, id: &[u8; 16]) -> Result<Option<Known>, SubjectsError> {
        SubjectFile::known(self, id)
    }

    fn changes(&self) -> Result<u64, SubjectsError> {
        SubjectFile::changes(self)
    }

    fn change(&mut self, id: &[u8; 16], change: &Change, owed: &Owed) -> Result<(), SubjectsError> {
        let transaction = self.connection.transaction()?;
        match change {
            Change::Destroy => {
                // As long as what was there, so that it is overwritten in its place.
                transaction.execute(
                    "update key set key = zeroblob(32) where number = (select key from subject where id = ?1)",
                    params![id],
                )?;
                transaction.execute("delete from subject where id = ?1", params![id])?;
            }
            Change::Hold(Hold { placed_by, reason, since_unix_nano }) => {
                transaction.execute(
                    "insert into hold (id, placed_by, reason, since_unix_nano) values (?1, ?2, ?3, ?4)",
                    params![id, placed_by, reason, since_unix_nano.cast_signed()],
                )?;
            }
            Change::Release => drop(transaction.execute("delete from hold where id = ?1", params![id])?),
        }
        transaction.execute(
            "insert into owed (event, stream, size) values (?1, ?2, ?3)",
            params![owed.event, owed.after.stream.0, owed.after.index.cast_signed()],
        )?;
        Ok(transaction.commit()?)
    }

    fn scrub(&mut self) -> Result<(), SubjectsError> {
        let busy: bool = self.connection.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0))?;
        if busy {
            return Err(SubjectsError::InUse);
        }
        // SQLite does not sync that it made the file empty, and a power cut could bring back what was in it.
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        match std::fs::File::open(log) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            log => log.and_then(|log| log.sync_all()).map_err(SubjectsError::Create),
        }
    }

    fn owed(&self) -> Result<Vec<(i64, Owed)>, SubjectsError> {
        let mut query = self.connection.prepare("select number, event, stream, size from owed order by number")?;
        let owed = query.query_map([], |row| {
            let after = EventId { stream: StreamId(row.get(2)?), index: row.get::<_, i64>(3)?.cast_unsigned() };
            Ok((row.get(0)?, Owed { event: row.get(1)?, after }))
        })?;
        Ok(owed.collect::<rusqlite::Result<_>>()?)
    }

    fn settle(&mut self, number: i64) -> Result<(), SubjectsError> {
        self.connection.execute("delete from owed where number = ?1", params![number])?;
        Ok(())
    }
}

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    let hold = match row.get(3)? {
        Some(placed_by) => {
            let since_unix_nano = row.get::<_, i64>(5)?.cast_unsigned();
            Some(Hold { placed_by, reason: row.get(4)?, since_unix_nano })
        }
        None => None,
    };
    Ok(Known { id: row.get(0)?, name: SubjectName { tenant: row.get(1)?, subject: row.get(2)? }, hold })
}

fn obtain_one(connection: &Connection, name: &SubjectName) -> Result<SubjectKey, SubjectsError> {
    let select = "select subject.id, key.key from subject join key on key.number = subject.key
         where tenant = ?1 and subject = ?2";
    let found = connection
        .prepare_cached(select)?
        .query_row(params![name.tenant, name.subject], |row| Ok(SubjectKey::new(row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some(found) = found {
        return Ok(found);
    }
    let made = SubjectKey::draw()?;
    let number = connection.prepare_cached("insert into key (key) values (?1)")?.insert(params![made.key()])?;
    connection
        .prepare_cached("insert into subject (id, tenant, subject, key) values (?1, ?2, ?3, ?4)")?
        .execute(params![made.id, name.tenant, name.subject, number])?;
    Ok(made)
}

fn version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Makes the tables. A file of the first days has its keys moved, and is then written anew.
fn make_tables(connection: &mut Connection) -> Result<(), SubjectsError> {
    let old: bool =
        connection.query_row("select count(*) > 0 from sqlite_schema where name = 'subject'", [], |row| row.get(0))?;
    let transaction = connection.transaction()?;
    if old {
        transaction.execute_batch("alter table subject rename to old")?;
    }
    transaction.execute_batch(
        "create table key (number integer primary key, key blob not null);
         create table subject (
             id blob primary key,
             tenant text not null,
             subject text not null,
             key integer not null,
             unique (tenant, subject)
         ) without rowid;
         create table hold (
             id blob primary key,
             placed_by text not null,
             reason text not null,
             since_unix_nano integer not null
         ) without rowid;
         create table owed (
             number integer primary key autoincrement,
             event blob not null,
             stream blob not null,
             size integer not null
         );",
    )?;
    if old {
        transaction.execute_batch(
            "insert into key (key) select key from old order by id;
             insert into subject (id, tenant, subject, key)
                 select id, tenant, subject, row_number() over (order by id) from old;
             drop table old;",
        )?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    if old {
        connection.execute_batch("vacuum")?;
    }
    Ok(())
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

const VERSION: i32 = 1;
const BUSY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
