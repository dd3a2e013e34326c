#![no_main]

#[path = "../../tests/oracle/mod.rs"]
mod oracle;

use spanseal_schemas::cut::Shape;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, message)) = bytes.split_first() else { return };
    let shape = [Shape::Span, Shape::Resource, Shape::Scope][usize::from(choice & 3).min(2)];
    oracle::cut::check(shape, message, usize::from(choice >> 2) * 1024);
});
