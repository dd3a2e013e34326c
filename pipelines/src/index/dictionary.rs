//! Numbers for texts.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

/// Texts and their numbers; the commonest are remembered.
pub(super) struct Dictionary {
    select: String,
    insert: String,
    known: HashMap<String, i64>,
}

impl Dictionary {
    pub(super) fn new(table: &str, column: &str) -> Self {
        Self {
            select: format!("SELECT id FROM {table} WHERE {column} = ?"),
            insert: format!("INSERT INTO {table}({column}) VALUES(?)"),
            known: HashMap::new(),
        }
    }

    pub(super) fn id(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.known.get(text) {
            return Ok(*id);
        }
        let found = connection.prepare_cached(&self.select)?.query_row([text], |row| row.get(0)).optional()?;
        let id = match found {
            Some(id) => id,
            None => connection.prepare_cached(&self.insert)?.insert([text])?,
        };
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(text.to_owned(), id);
        Ok(id)
    }

    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

const KNOWN_MAX: usize = 50_000;
