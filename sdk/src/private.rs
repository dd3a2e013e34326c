//! What the macros' code calls. Not for programs.

use serde::Serialize;
use serde_json::Value;

use crate::action::Action;

/// Returns one argument as JSON.
///
/// # Errors
/// What has no JSON form.
pub fn value(argument: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(argument).map_err(|error| error.to_string())
}

/// Gives an action its arguments by name, and shows some of them.
pub fn tool(
    action: Action,
    digested: &[(&'static str, Result<Value, String>)],
    revealed: &[(&'static str, Result<Value, String>)],
) -> Action {
    let object = |named: &[(&'static str, Result<Value, String>)]| {
        let members = named.iter().map(|(name, value)| match value {
            Ok(value) => Ok(((*name).to_owned(), value.clone())),
            Err(error) => Err(format!("argument `{name}`: {error}; write `skip({name})` to leave it out")),
        });
        members.collect::<Result<serde_json::Map<_, _>, _>>().map(Value::Object)
    };
    let action = action.arguments_value(object(digested));
    match object(revealed) {
        Ok(Value::Object(shown)) if !shown.is_empty() => action.reveal(Value::Object(shown)),
        _ => action,
    }
}
