//! A query as SQL, led by whichever of its conditions the fewest events meet.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::{Order, Query};
use crate::index::store::{int, row_of};
use crate::index::value::{Value, clip};

/// One condition in two forms.
struct Filter {
    /// Selects the ids of all events that meet it.
    ids: String,
    /// Says of one event `e` whether it meets it, without leading SQLite to an index of its own.
    check: String,
    /// For `ids` and for `check` alike.
    values: Vec<SqlValue>,
}

/// Returns the ids of the events that meet the query, one more than the limit; `None` when a text in it occurs nowhere.
pub(super) fn matches(connection: &Connection, query: &Query) -> rusqlite::Result<Option<Vec<i64>>> {
    let Some(filters) = filters(connection, query)? else { return Ok(None) };
    let lead = lead(connection, &filters)?;
    let mut conditions = Vec::new();
    let mut values: Vec<SqlValue> = Vec::new();
    for (place, filter) in filters.iter().enumerate() {
        conditions.push(if lead == Some(place) { format!("e.id IN ({})", filter.ids) } else { filter.check.clone() });
        values.extend(filter.values.iter().cloned());
    }
    let (order, beyond) = match query.order {
        Order::NewestFirst => ("DESC", "<"),
        Order::OldestFirst => ("ASC", ">"),
    };
    if let Some(after) = query.after {
        conditions.push(format!("e.id {beyond} {after}"));
    }
    let all = if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") };
    let limit = query.limit.saturating_add(1);
    let select = format!("SELECT e.id FROM event e WHERE {all} ORDER BY e.id {order} LIMIT {limit}");
    let mut statement = connection.prepare(&select)?;
    let ids = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    ids.collect::<rusqlite::Result<_>>().map(Some)
}

/// Returns the filter that fewest events meet; none when all are common: then the events are gone through in order, and
/// the page is soon full.
fn lead(connection: &Connection, filters: &[Filter]) -> rusqlite::Result<Option<usize>> {
    let mut rarest = (COMMON, None);
    for (place, filter) in filters.iter().enumerate().filter(|(_, filter)| !filter.ids.is_empty()) {
        let count = format!("SELECT count(*) FROM (SELECT 1 FROM ({}) LIMIT {})", filter.ids, rarest.0);
        let count: i64 = connection.prepare(&count)?.query_row(params_from_iter(&filter.values), |row| row.get(0))?;
        if count < rarest.0 {
            rarest = (count, Some(place));
        }
    }
    Ok(rarest.1)
}

fn filters(connection: &Connection, query: &Query) -> rusqlite::Result<Option<Vec<Filter>>> {
    let mut filters = Vec::new();
    if let Some(event) = query.event {
        let Some(row) = event_row(connection, event)? else { return Ok(None) };
        filters.push(column("id", SqlValue::Integer(row)));
    }
    filters.extend(query.trace.map(|trace| column("trace", SqlValue::Blob(trace.to_vec()))));
    filters.extend(query.span.map(|span| column("span", SqlValue::Blob(span.to_vec()))));
    filters.extend(query.verdict.map(|verdict| column("verdict", SqlValue::Integer((verdict as i32).into()))));
    filters.extend(query.kind.map(kind));
    filters.extend(query.subject.map(subject));
    if let Some(name) = &query.name {
        let Some(id) = text_id(connection, name)? else { return Ok(None) };
        filters.push(column("name", SqlValue::Integer(id)));
    }
    let service = query.service.iter().map(|service| (vec!["service.name"], service));
    let facets = query.facets.iter().map(|(facet, value)| (facet.keys().to_vec(), value));
    let attributes = query.attributes.iter().map(|(key, value)| (vec![key.as_str()], value));
    for (keys, value) in service.chain(facets).chain(attributes) {
        let Some(filter) = attribute(connection, &keys, value)? else { return Ok(None) };
        filters.push(filter);
    }
    filters.extend(time(query));
    Ok(Some(filters))
}

fn column(name: &str, value: SqlValue) -> Filter {
    // The unary plus keeps SQLite from an index on the column: the choice of what leads is made here, with counts.
    Filter {
        ids: format!("SELECT id FROM event WHERE {name} = ?"),
        check: format!("+e.{name} = ?"),
        values: vec![value],
    }
}

fn kind(kind: u8) -> Filter {
    let mut filter = column("kind", SqlValue::Integer(kind.into()));
    if kind == SPAN {
        filter.ids.clear(); // nearly every event is one
    } else {
        filter.ids.push_str(" AND kind <> 1"); // so that the partial index holds
    }
    filter
}

/// Events with values under a subject's key, and those about the key.
fn subject(subject: [u8; 16]) -> Filter {
    Filter {
        ids: "SELECT id FROM subject WHERE subject = ?".to_owned(),
        check: "EXISTS (SELECT 1 FROM subject WHERE +subject = ? AND id = e.id)".to_owned(),
        values: vec![SqlValue::Blob(subject.to_vec())],
    }
}

/// Events whose span or resource has one of the keys with the value.
fn attribute(connection: &Connection, keys: &[&str], typed: &str) -> rusqlite::Result<Option<Filter>> {
    let mut key_ids = Vec::new();
    let mut key_id = connection.prepare_cached("SELECT id FROM attr_key WHERE key = ?")?;
    for key in keys {
        let id: Option<i64> = key_id.query_row([key], |row| row.get(0)).optional()?;
        key_ids.extend(id.map(|id| id.to_string()));
    }
    if key_ids.is_empty() {
        return Ok(None);
    }
    let meanings = Value::meanings(typed);
    let list = vec!["?"; meanings.len()].join(", ");
    let pair = format!("key IN ({}) AND value IN ({list})", key_ids.join(", "));
    let mut values: Vec<SqlValue> = meanings.iter().map(SqlValue::from).collect();
    let resources = format!("SELECT id FROM resource_attr WHERE {pair}");
    let of_resource: Option<i64> =
        connection.prepare(&resources)?.query_row(params_from_iter(&values), |row| row.get(0)).optional()?;
    let mut ids = format!("SELECT block << 6 | n FROM attr CROSS JOIN bit WHERE {pair} AND bits >> n & 1");
    let mut check =
        format!("EXISTS (SELECT 1 FROM attr WHERE {pair} AND block = e.id >> 6 AND bits >> (e.id & 63) & 1)");
    if of_resource.is_some() {
        ids = format!("{ids} UNION ALL SELECT id FROM event WHERE resource IN ({resources})");
        check = format!("({check} OR +e.resource IN ({resources}))");
        values.extend(values.clone());
    }
    Ok(Some(Filter { ids, check, values }))
}

fn time(query: &Query) -> Option<Filter> {
    let bounds = [query.since.map(|time| (">=", time)), query.until.map(|time| ("<", time))];
    let bounds: Vec<(&str, u64)> = bounds.into_iter().flatten().collect();
    let all = |column: &str| {
        let each = bounds.iter().map(|(sign, _)| format!("{column} {sign} ?"));
        each.collect::<Vec<_>>().join(" AND ")
    };
    let values = bounds.iter().map(|(_, time)| SqlValue::Integer(int(*time))).collect();
    let ids = format!("SELECT id FROM event WHERE {}", all("start"));
    (!bounds.is_empty()).then(|| Filter { ids, check: all("+e.start"), values })
}

fn event_row(connection: &Connection, event: spanseal_ledger::EventId) -> rusqlite::Result<Option<i64>> {
    let mut ordinal = connection.prepare_cached("SELECT ordinal FROM stream WHERE id = ?")?;
    let stream: Option<i64> = ordinal.query_row([event.stream.0], |row| row.get(0)).optional()?;
    stream.map_or(Ok(None), |stream| row_of(connection, stream, event.index))
}

fn text_id(connection: &Connection, text: &str) -> rusqlite::Result<Option<i64>> {
    let mut select = connection.prepare_cached("SELECT id FROM text WHERE value = ?")?;
    select.query_row([clip(text)], |row| row.get(0)).optional()
}

const SPAN: u8 = 1;
/// Events from which on a condition counts as common.
const COMMON: i64 = 20_000;
