//! The attributes of a transaction's events, gathered and written in order.

use rusqlite::{Connection, params};

use super::value::Value;

/// What was gathered.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<Attribute>);

impl Attributes {
    pub(super) fn add(&mut self, of_resource: bool, key: i64, value: Value, id: i64) {
        let table = if of_resource { Table::Resource } else { Table::Span };
        self.0.push(Attribute { table, key, value, id });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Writes what was gathered, sorted: the table is clustered by (key, value), so neighbours go in together.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.0.sort_unstable_by(|a, b| {
            let order = (&a.table, a.key).cmp(&(&b.table, b.key));
            order.then_with(|| a.value.partial_cmp(&b.value).unwrap_or(std::cmp::Ordering::Equal)).then(a.id.cmp(&b.id))
        });
        let mut spans = connection.prepare_cached(INSERT_BITS)?;
        let mut resources = connection.prepare_cached("INSERT OR IGNORE INTO resource_attr VALUES(?, ?, ?)")?;
        for group in self.0.chunk_by(Attribute::are_together) {
            let Attribute { table, key, value, id } = &group[0];
            if *table == Table::Resource {
                resources.execute(params![key, value, id])?;
                continue;
            }
            let bits = group.iter().fold(0, |bits, attribute| bits | 1_i64 << (attribute.id & 63));
            spans.execute(params![key, value, id >> 6, bits])?;
        }
        self.0.clear();
        Ok(())
    }
}

#[derive(Debug)]
struct Attribute {
    table: Table,
    key: i64,
    value: Value,
    id: i64,
}

impl Attribute {
    /// Whether two neighbours in order go into one row.
    fn are_together(&self, other: &Self) -> bool {
        self.table == Table::Span
            && (self.key, self.id >> 6) == (other.key, other.id >> 6)
            && self.table == other.table
            && self.value == other.value
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    Span,
    Resource,
}

const INSERT_BITS: &str = "INSERT INTO attr VALUES(?, ?, ?, ?)
    ON CONFLICT(key, value, block) DO UPDATE SET bits = bits | excluded.bits";
