//! Ids, numbers, times and received text as people read and write them.

use jiff::Timestamp;
pub(crate) use spanseal_pipelines::printed::{grouped, printable};

/// Returns bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing into a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Returns received text line by line, each as [`printable`] has it.
pub(crate) fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// Returns a time in seconds since the Unix epoch as RFC 3339, in UTC.
pub(crate) fn time_of_seconds(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("{seconds} s"), |time| time.to_string())
}

/// Returns how long ago a time was.
pub(crate) fn ago(seconds: u64) -> String {
    match crate::verify::now_seconds().checked_sub(seconds) {
        None => "in the future".to_owned(),
        Some(age @ 0..120) => format!("{age} s ago"),
        Some(age @ 120..7200) => format!("{} min ago", age / 60),
        Some(age @ 7200..172_800) => format!("{} h ago", age / 3600),
        Some(age) => format!("{} days ago", age / 86_400),
    }
}

/// Reads a length of time: a number and `s`, `m`, `h` or `d`.
///
/// # Errors
/// When it is anything else.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no length of time; write for example 90s, 30m, 24h or 7d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).ok_or_else(wrong)
}

/// Reads a point in time, RFC 3339 or a length of time ago, as nanoseconds since the Unix epoch.
///
/// # Errors
/// When it is neither.
pub(crate) fn instant(text: &str) -> Result<u64, String> {
    if let Ok(ago) = seconds(text) {
        return Ok(crate::verify::now_seconds().saturating_sub(ago).saturating_mul(1_000_000_000));
    }
    let wrong = || format!("{text:?} is no time; write for example 2026-11-23T17:00:00Z, or 24h for a day ago");
    let time: Timestamp = text.parse().map_err(|_| wrong())?;
    u64::try_from(time.as_nanosecond()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_lines_apart_and_what_steers_a_terminal_out() {
        assert_eq!(printable_lines("not ready\r\n\u{9b}2J\n"), "not ready\n\\u{9b}2J");
    }

    #[test]
    fn reads_lengths_of_time_and_refuses_the_rest() {
        for (text, expected) in [("90s", Some(90)), ("30m", Some(1800)), ("24h", Some(86_400)), ("7d", Some(604_800))] {
            assert_eq!(seconds(text).ok(), expected);
        }
        for text in ["", "h", "12", "1.5h", "99999999999999999999d", "9999999999999999999d", "5 m"] {
            assert!(seconds(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn reads_times() {
        assert_eq!(instant("1970-01-01T00:00:02Z"), Ok(2_000_000_000));
        assert!(instant("yesterday").is_err());
        assert!(instant("1969-01-01T00:00:00Z").is_err());
    }
}
