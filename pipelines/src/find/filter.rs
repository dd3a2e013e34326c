//! A query as conditions on rows, asked of one segment of the index after the other.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::time::Times;
use super::{Order, Query};
use crate::index::Index;
use crate::index::segment::{self, Segment};
use crate::index::store::{ordinal_of, row_of, terms};
use crate::index::term::{Term, Terms};
use crate::index::value::Value;

/// One condition on events.
enum Filter {
    /// Says one of these.
    Says(Vec<Term>),
    /// Has this verdict, or this one took the place of another.
    Verdict(i32, Term),
    /// Is one of these rows, which ascend.
    Rows(Vec<i64>),
}

/// Returns the rows of the events that meet the query, one more than the limit.
pub(super) fn matches(index: &Index, query: &Query) -> rusqlite::Result<Vec<i64>> {
    let connection = index.connection();
    let filters = filters(connection, query)?;
    let mut times = Times::new(query);
    let mut segments = segment::all(connection)?;
    if query.order == Order::NewestFirst {
        segments.reverse();
    }
    let (limit, mut found) = (query.limit.saturating_add(1), Vec::new());
    for segment in segments {
        if found.len() == limit {
            break;
        }
        if !times.may_hold(segment.times) || !may_follow(query, &segment) {
            continue;
        }
        let ids = candidates(connection, &segment, &filters)?;
        let mut check = |id: u32| -> rusqlite::Result<bool> {
            let row = segment.first + i64::from(id);
            if follows(query, row) && times.hold(connection, row)? {
                found.push(row);
            }
            Ok(found.len() < limit)
        };
        match (ids, query.order) {
            (None, Order::NewestFirst) => each((0..segment.count).rev(), &mut check)?,
            (None, Order::OldestFirst) => each(0..segment.count, &mut check)?,
            (Some(ids), Order::NewestFirst) => each(ids.into_iter().rev(), &mut check)?,
            (Some(ids), Order::OldestFirst) => each(ids.into_iter(), &mut check)?,
        }
    }
    Ok(found)
}

/// Calls with each id until it says that it has enough.
fn each(ids: impl Iterator<Item = u32>, check: &mut impl FnMut(u32) -> rusqlite::Result<bool>) -> rusqlite::Result<()> {
    for id in ids {
        if !check(id)? {
            break;
        }
    }
    Ok(())
}

fn may_follow(query: &Query, segment: &Segment) -> bool {
    match query.order {
        Order::NewestFirst => follows(query, segment.first),
        Order::OldestFirst => follows(query, segment.first + i64::from(segment.count) - 1),
    }
}

/// Whether a row comes after the page before.
fn follows(query: &Query, row: i64) -> bool {
    query.after.is_none_or(|after| match query.order {
        Order::NewestFirst => row < after,
        Order::OldestFirst => row > after,
    })
}

/// Returns the ids in a segment that meet every filter, ascending; `None` for all of them.
fn candidates(connection: &Connection, segment: &Segment, filters: &[Filter]) -> rusqlite::Result<Option<Vec<u32>>> {
    let mut met: Option<Vec<u32>> = None;
    for filter in filters {
        if met.as_ref().is_some_and(Vec::is_empty) {
            break;
        }
        let ids = filter.ids(connection, segment)?;
        met = Some(met.map_or_else(|| ids.clone(), |met| both(&met, &ids)));
    }
    Ok(met)
}

/// Returns what is in both; each ascends.
fn both(a: &[u32], b: &[u32]) -> Vec<u32> {
    let (few, many) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let mut rest = many;
    let mut both = Vec::new();
    for id in few {
        // A few among many are looked for, and many among many passed by.
        let passed = match few.len() * 16 < many.len() {
            true => rest.partition_point(|other| other < id),
            false => rest.iter().position(|other| other >= id).unwrap_or(rest.len()),
        };
        rest = &rest[passed..];
        if rest.first() == Some(id) {
            both.push(*id);
        }
    }
    both
}

impl Filter {
    /// Returns the ids in a segment that meet it, ascending.
    fn ids(&self, connection: &Connection, segment: &Segment) -> rusqlite::Result<Vec<u32>> {
        match self {
            Self::Says(terms) => segment.ids(connection, terms),
            Self::Verdict(verdict, term) => {
                let mut ids = segment.ids(connection, &[*term])?;
                let later = later_verdicts(connection, segment)?;
                ids.retain(|id| !later.contains_key(id));
                ids.extend(later.iter().filter(|(_, later)| *later == verdict).map(|(id, _)| *id));
                ids.sort_unstable();
                Ok(ids)
            }
            Self::Rows(rows) => Ok(rows.iter().filter_map(|row| id_in(segment, *row)).collect()),
        }
    }
}

fn id_in(segment: &Segment, row: i64) -> Option<u32> {
    u32::try_from(row - segment.first).ok().filter(|id| *id < segment.count)
}

fn later_verdicts(connection: &Connection, segment: &Segment) -> rusqlite::Result<BTreeMap<u32, i32>> {
    let mut select = connection.prepare_cached("SELECT id, verdict FROM assessed WHERE id >= ? AND id < ?")?;
    let rows = select.query_map([segment.first, segment.first + i64::from(segment.count)], |row| {
        Ok((id_in(segment, row.get(0)?).unwrap_or(u32::MAX), row.get(1)?))
    })?;
    rows.collect()
}

/// Returns the query's conditions but for the time; those first that few events meet.
fn filters(connection: &Connection, query: &Query) -> rusqlite::Result<Vec<Filter>> {
    let says = terms(connection)?;
    let mut filters = Vec::new();
    if let Some(event) = query.event {
        let ordinal = ordinal_of(connection, &event.stream.0)?;
        let row = ordinal.map_or(Ok(None), |ordinal| row_of(connection, ordinal, event.index))?;
        filters.push(Filter::Rows(row.into_iter().collect()));
    }
    if let Some(subject) = query.subject {
        filters.push(Filter::Rows(rows_of_subject(connection, subject)?));
    }
    filters.extend(query.span.map(|span| Filter::Says(vec![says.span(&span)])));
    filters.extend(query.trace.map(|trace| Filter::Says(vec![says.trace(&trace)])));
    let facets = query.facets.iter().map(|(facet, value)| (facet.keys().to_vec(), value));
    let attributes = query.attributes.iter().map(|(key, value)| (vec![key.as_str()], value));
    let service = query.service.iter().map(|service| (vec!["service.name"], service));
    filters.extend(facets.chain(attributes).chain(service).map(|(keys, value)| attribute(&says, &keys, value)));
    filters.extend(query.name.iter().map(|name| Filter::Says(vec![says.name(name)])));
    filters.extend(query.verdict.map(|verdict| Filter::Verdict(verdict as i32, says.verdict(verdict as i32))));
    filters.extend(query.kind.map(|kind| Filter::Says(vec![says.kind(kind)])));
    Ok(filters)
}

/// Events whose span or resource has one of the keys with the value.
fn attribute(says: &Terms, keys: &[&str], typed: &str) -> Filter {
    let meanings = Value::meanings(typed);
    let pairs = keys.iter().flat_map(|key| meanings.iter().map(move |value| says.attribute(key, value)));
    Filter::Says(pairs.collect())
}

/// Events with values under a subject's key, and those about the key.
fn rows_of_subject(connection: &Connection, subject: [u8; 16]) -> rusqlite::Result<Vec<i64>> {
    let mut select = connection.prepare("SELECT id FROM subject WHERE subject = ? ORDER BY id")?;
    let rows = select.query_map([subject], |row| row.get(0))?;
    rows.collect()
}
