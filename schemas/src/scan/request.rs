//! From a request to the boundaries of its spans.

use std::borrow::Cow;

use super::shape::{RESOURCE, SCOPE};
use super::{ScanError, ScannedResource, ScannedScope, append};
use crate::wire::{DEPTH_MAX, LEN, Reader, key};

/// How many resources and scopes together a request may have.
pub const GROUPS_MAX: usize = 1 << 18;

/// How many spans a request may have: what is kept of each while it is scanned is not counted before it is known how many
/// there are.
pub const SPANS_MAX: usize = 1 << 19;

/// Returns the resources, scopes and span boundaries of an `ExportTraceServiceRequest`.
///
/// Everything but the insides of spans is checked as prost checks it.
///
/// # Errors
///
/// The first thing that prost refuses outside of spans, or [`ScanError::TooMany`].
pub fn request(bytes: &[u8]) -> Result<Vec<ScannedResource<'_>>, ScanError> {
    const RESOURCE_SPANS: u64 = key(1, LEN);
    let mut room = Room { groups: GROUPS_MAX, spans: SPANS_MAX };
    let mut resources = Vec::new();
    let mut reader = Reader::new(bytes);
    while !reader.is_done() {
        let at = reader.at();
        match reader.varint()? {
            RESOURCE_SPANS => resources.push(resource_spans(reader.message()?, &mut room)?),
            other => pass(&mut reader, at, other, 1, DEPTH_MAX)?,
        }
    }
    Ok(resources)
}

/// How many more parts are taken.
struct Room {
    groups: usize,
    spans: usize,
}

impl Room {
    fn take_group(&mut self) -> Result<(), ScanError> {
        self.groups =
            self.groups.checked_sub(1).ok_or(ScanError::TooMany { parts: "resources and scopes", max: GROUPS_MAX })?;
        Ok(())
    }

    fn take_span(&mut self) -> Result<(), ScanError> {
        self.spans = self.spans.checked_sub(1).ok_or(ScanError::TooMany { parts: "spans", max: SPANS_MAX })?;
        Ok(())
    }
}

// The fields of ResourceSpans and ScopeSpans have the same numbers: what it is about, what is in it, schema URL.
const ABOUT: u64 = key(1, LEN);
const PART: u64 = key(2, LEN);
const SCHEMA_URL: u64 = key(3, LEN);
const FIELDS: u32 = 3;

fn resource_spans<'a>(mut reader: Reader<'a>, room: &mut Room) -> Result<ScannedResource<'a>, ScanError> {
    const DEPTH: u32 = DEPTH_MAX - 1;
    room.take_group()?;
    let mut found = ScannedResource { resource: Cow::Borrowed(&[]), schema_url: "", scopes: Vec::new() };
    while !reader.is_done() {
        let at = reader.at();
        match reader.varint()? {
            ABOUT => {
                let resource = reader.message()?;
                RESOURCE.check(resource, DEPTH - 1)?;
                append(&mut found.resource, resource.rest());
            }
            PART => found.scopes.push(scope_spans(reader.message()?, room)?),
            SCHEMA_URL => found.schema_url = reader.text()?,
            other => pass(&mut reader, at, other, FIELDS, DEPTH)?,
        }
    }
    Ok(found)
}

fn scope_spans<'a>(mut reader: Reader<'a>, room: &mut Room) -> Result<ScannedScope<'a>, ScanError> {
    const DEPTH: u32 = DEPTH_MAX - 2;
    room.take_group()?;
    let mut found = ScannedScope { scope: Cow::Borrowed(&[]), schema_url: "", spans: Vec::new() };
    while !reader.is_done() {
        let at = reader.at();
        match reader.varint()? {
            ABOUT => {
                let scope = reader.message()?;
                SCOPE.check(scope, DEPTH - 1)?;
                append(&mut found.scope, scope.rest());
            }
            PART => {
                room.take_span()?;
                found.spans.push(reader.bytes()?);
            }
            SCHEMA_URL => found.schema_url = reader.text()?,
            other => pass(&mut reader, at, other, FIELDS, DEPTH)?,
        }
    }
    Ok(found)
}

/// Passes over a field that is not one of the message's 1 to `known`; one that is has the wrong wire type.
fn pass(reader: &mut Reader<'_>, at: usize, key: u64, known: u32, depth: u32) -> Result<(), ScanError> {
    let (field, wire) = Reader::split(at, key)?;
    if field <= known {
        return Err(ScanError::WireType { at, field, wire });
    }
    reader.skip(field, wire, depth)
}
