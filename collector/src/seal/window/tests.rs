//! The window against what it should remember.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn window(entries_max: usize, seconds: u64) -> Window {
    let time = Duration::from_secs(seconds);
    Window::new(WindowLimits { entries_max: NonZeroUsize::new(entries_max).unwrap(), time })
}

impl Window {
    /// Looks, and remembers as the event at an index.
    fn see(&mut self, span: Fingerprint, index: u64, stream_nanos: u64) -> Seen {
        let seen = self.look(span);
        match seen {
            Seen::Same => {}
            Seen::Never => self.remember(span, index, stream_nanos),
            Seen::Other { .. } => self.remember_other(span, index, stream_nanos),
        }
        seen
    }
}

fn print(key: u128, value: u128) -> Fingerprint {
    Fingerprint { key, value }
}

#[test]
fn tells_a_retry_from_other_bytes() {
    let mut window = window(100, 300);
    assert_eq!(window.see(print(1, 10), 5, 0), Seen::Never);
    assert_eq!(window.see(print(1, 10), 6, 0), Seen::Same);
    assert_eq!(window.see(print(1, 11), 6, 0), Seen::Other { first: 5 });
    assert_eq!(window.see(print(1, 11), 7, 0), Seen::Same, "the other bytes are remembered too");
    assert_eq!(window.see(print(1, 10), 7, 0), Seen::Same, "beside the first");
    assert_eq!(window.see(print(1, 12), 7, 0), Seen::Other { first: 5 }, "and are not the first");
    assert_eq!(window.see(print(2, 10), 8, 0), Seen::Never);
}

#[test]
fn knows_the_event_of_every_first() {
    let mut window = window(4096, 300);
    // Events of other kinds stand between: after every third span, and a whole run of them once.
    let index = |key: u64| key + key / 3 + if key > 2000 { 70_000 } else { 0 } + 1;
    for key in 0..3000 {
        window.remember(print(key.into(), 1), index(key), 0);
    }
    for key in 0..3000 {
        assert_eq!(window.look(print(key.into(), 2)), Seen::Other { first: index(key) });
    }
}

#[test]
fn does_not_take_other_bytes_for_the_first_when_the_first_is_forgotten() {
    let mut window = window(100, 300);
    window.remember_other(print(1, 11), 9, 0);
    assert_eq!(window.look(print(1, 11)), Seen::Same);
    assert_eq!(window.look(print(1, 10)), Seen::Never);
}

#[test]
fn forgets_after_the_seconds_of_stream_time() {
    let mut window = window(100, 300);
    window.see(print(1, 10), 1, 0);
    for (key, seconds) in [(2, 200), (3, 300), (4, 400)] {
        window.see(print(key, 0), seconds, seconds * SECOND);
    }
    // A chunk is forgotten whole, once its newest entry is too old.
    window.see(print(5, 0), 500, 701 * SECOND);
    assert_eq!(window.see(print(1, 10), 501, 701 * SECOND), Seen::Never);
    assert_eq!(window.see(print(5, 0), 500, 701 * SECOND), Seen::Same);
}

#[test]
fn holds_no_more_than_its_entries() {
    let mut window = window(64, 300);
    for key in 0..1000 {
        window.see(print(key.into(), 0), key + 1, 0);
        assert!(window.len() <= 64);
    }
    assert_eq!(window.look(print(999, 0)), Seen::Same);
    assert_eq!(window.look(print(960, 0)), Seen::Same, "forgetting a chunk leaves most");
    assert_eq!(window.look(print(900, 0)), Seen::Never);
}

#[test]
fn takes_forty_bytes_a_span() {
    assert_eq!(bytes_of_a_million(|key| key), 40_465_472);
}

#[test]
fn takes_some_more_when_every_span_brings_a_resource_of_its_own() {
    assert_eq!(bytes_of_a_million(|key| 2 * key), 56_410_112);
}

/// Of a window full of spans, given their indices beyond the first.
fn bytes_of_a_million(index: impl Fn(u64) -> u64) -> usize {
    let mut window = window(1_000_000, 300);
    for key in 0..1_000_000 {
        window.remember(print(key << 20 | key, 0), 5 + index(key as u64), 0);
    }
    assert_eq!(window.len(), 1_000_000);
    let chunks = window.chunks.iter();
    let entries = |chunk: &Chunk| chunk.entries.capacity() * size_of::<Fingerprint>();
    let runs = |chunk: &Chunk| chunk.runs.capacity() * size_of::<Run>();
    window.slots.len() * size_of::<u32>() + chunks.map(|chunk| entries(chunk) + runs(chunk)).sum::<usize>()
}

proptest! {
    /// Against a map that never forgets, with keys that collide in the table.
    #[test]
    fn remembers_what_a_map_remembers(spans in prop::collection::vec((0u128..40, 0u128..4), 0..400)) {
        let mut window = window(32, 300);
        let mut order: Vec<(u128, u128)> = Vec::new();
        let mut all: HashMap<(u128, u128), usize> = HashMap::new();
        let mut firsts: HashMap<u128, u64> = HashMap::new();
        let mut index = 1;
        for (key, value) in spans {
            // Values that cannot make one key's variant another's key.
            let print = print(key * 64, (value + 1) << 100);
            let seen = window.see(print, index, 0);
            match all.get(&(key, value)).map(|at| order.len() - at) {
                // Within the entries that are surely kept: 32 less one chunk of two.
                Some(age) if age <= 30 => prop_assert_eq!(seen, Seen::Same),
                None => prop_assert_ne!(seen, Seen::Same),
                Some(_) => {}
            }
            match seen {
                Seen::Same => {}
                Seen::Never => drop(firsts.insert(key, index)),
                Seen::Other { first } => prop_assert_eq!(Some(&first), firsts.get(&key)),
            }
            // Now and then another event stands in between.
            index += 1 + u64::from(value == 3);
            if seen != Seen::Same {
                all.insert((key, value), order.len());
                order.push((key, value));
            }
        }
    }
}
