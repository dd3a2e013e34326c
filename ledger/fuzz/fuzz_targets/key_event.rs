//! A key or gap event that parses is written again byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanseal_ledger::gap::Gap;
use spanseal_ledger::key_event::KeyEvent;

fuzz_target!(|bytes: &[u8]| {
    match KeyEvent::parse(bytes) {
        Ok(KeyEvent::Opening(opening)) => assert_eq!(opening.encode(), bytes),
        Ok(KeyEvent::Closing(closing)) => assert_eq!(closing.encode(), bytes),
        Err(_) => {}
    }
    if let Ok(gap) = Gap::parse(bytes) {
        assert_eq!(gap.encode(), bytes);
    }
});
