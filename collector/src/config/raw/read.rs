//! Reads the file, noting every setting that is unknown or of the wrong type.

use serde_path_to_error::{Path, Segment};
use toml::{Table, Value};

use super::super::mistakes::{Fault, Mistakes};
use super::Raw;

/// Returns the settings, with the default in place of each that cannot be read.
///
/// Serde stops at the first mistake. So that every one is reported, the setting is noted, taken out, and the rest is
/// read again.
pub(in super::super) fn read(text: &str, mistakes: &mut Mistakes) -> Raw {
    let mut table = match text.parse::<Table>() {
        Ok(table) => Value::Table(table),
        Err(error) => {
            mistakes.note("", "", Fault::Syntax { message: error.to_string().trim_end().to_owned() });
            return Raw::default();
        }
    };
    loop {
        let error = match serde_path_to_error::deserialize::<_, Raw>(table.clone()) {
            Ok(raw) => return raw,
            Err(error) => error,
        };
        let fault = fault(error.inner().message());
        if !take_out(&mut table, error.path(), fault, mistakes) {
            return Raw::default();
        }
    }
}

/// Notes what is wrong at the path and takes it out; false when there is nothing to take out.
fn take_out(table: &mut Value, path: &Path, fault: Fault, mistakes: &mut Mistakes) -> bool {
    let name = path.to_string();
    let mut segments: Vec<&Segment> = path.iter().collect();
    if mistakes.has(&name) {
        segments.pop(); // an empty string did not do in its place: the whole list goes
    }
    let Some((last, parents)) = segments.split_last() else {
        mistakes.note(name, "", fault);
        return false;
    };
    let parent = parents.iter().try_fold(table, |value, segment| child(value, segment));
    let removed = match (parent, last) {
        (Some(Value::Table(table)), Segment::Map { key }) => table.remove(key),
        (Some(Value::Array(list)), Segment::Seq { index }) => {
            list.get_mut(*index).map(|element| std::mem::replace(element, Value::String(String::new())))
        }
        _ => None,
    };
    mistakes.note(name, removed.as_ref().map(shown).unwrap_or_default(), fault);
    removed.is_some()
}

fn child<'v>(value: &'v mut Value, segment: &Segment) -> Option<&'v mut Value> {
    match segment {
        Segment::Map { key } => value.get_mut(key.as_str()),
        Segment::Seq { index } => value.get_mut(*index),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// A scalar or list as it stands in TOML; a table is too long to show.
fn shown(value: &Value) -> String {
    match value {
        Value::Table(_) => "{ .. }".to_owned(),
        other => other.to_string(),
    }
}

/// Reads serde's message, of which only the expectation is of use beside path and value.
fn fault(message: &str) -> Fault {
    let expected = message.split_once(", expected ").map_or(message, |(_, expected)| expected);
    if message.starts_with("unknown field") {
        let known = expected.strip_prefix("one of ").unwrap_or(expected);
        return Fault::Unknown { known: known.to_owned() };
    }
    let expected = match expected {
        "u64" => "a whole number from 0",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        table if table.starts_with("struct ") => "a table",
        other => other,
    };
    Fault::WrongType { expected: expected.to_owned() }
}
