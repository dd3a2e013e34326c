//! Numbers, times and foreign text as a terminal may show them.

use jiff::Timestamp;

/// Returns foreign text so that it cannot steer a terminal or hide what follows: control characters and those that
/// change the direction of writing or have no width are written as escapes.
pub fn printable(text: &str) -> String {
    let harmless = |c: char| !c.is_control() && !INVISIBLE.iter().any(|range| range.contains(&c));
    if text.chars().all(harmless) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push('⏎'),
            '\t' => shown.push(' '),
            c if harmless(c) => shown.push(c),
            c => shown.extend(c.escape_unicode()),
        }
    }
    shown
}

/// Returns UTC to the millisecond, for example `2026-11-23 18:50:02.123Z`.
pub fn time(unix_nano: u64) -> String {
    match Timestamp::from_nanosecond(unix_nano.into()) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string(),
        Err(_) => format!("{unix_nano} ns"),
    }
}

/// Returns UTC to the second of a time in seconds.
pub fn time_of_seconds(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("{seconds} s"), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// Returns a span of time in the unit that suits it.
pub fn duration(nanos: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let n = nanos as f64;
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.0} µs", n / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} ms", n / 1e6),
        1_000_000_000..120_000_000_000 => format!("{:.2} s", n / 1e9),
        120_000_000_000..7_200_000_000_000 => format!("{:.1} min", n / 60e9),
        _ => format!("{:.1} h", n / 3600e9),
    }
}

/// Returns a number with a comma before every third digit from the right.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Breaks text into lines of at most `width` characters, at spaces where there are any.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.push(word.into_iter().collect());
            word = rest;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        used += word.len();
        line.extend(word);
    }
    lines.push(line);
    lines
}

/// Soft hyphen, zero-width and direction marks, separators, byte order mark, tags.
const INVISIBLE: [std::ops::RangeInclusive<char>; 7] = [
    '\u{ad}'..='\u{ad}',
    '\u{61c}'..='\u{61c}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{e0000}'..='\u{e007f}',
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shows_what_would_steer_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable("user\u{202e}nimda\n"), "user\\u{202e}nimda⏎");
        assert_eq!(printable("Käse 猫"), "Käse 猫");
    }

    #[test]
    fn writes_times_and_numbers_for_people() {
        assert_eq!(time(1_795_459_802_123_456_789), "2026-11-23 18:50:02.123Z");
        assert_eq!(time_of_seconds(1_795_459_802), "2026-11-23 18:50:02Z");
        assert_eq!([0, 999, 12_345, 1_000_000].map(grouped), ["0", "999", "12,345", "1,000,000"]);
        let shown = [5, 45_000, 812_000_000, 4_210_000_000, 600_000_000_000, u64::MAX].map(duration);
        assert_eq!(shown, ["5 ns", "45 µs", "812 ms", "4.21 s", "10.0 min", "5124095.6 h"]);
    }

    proptest! {
        #[test]
        fn wraps_without_losing_a_letter(text in "[a-z ]{0,60}", width in 1usize..20) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:?}");
            let letters = |text: &str| text.replace(' ', "");
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
