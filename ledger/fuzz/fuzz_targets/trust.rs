//! A trust file that parses says the same when it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanseal_ledger::key::PublicKey;
use spanseal_ledger::trust::Trust;

fuzz_target!(|text: &str| {
    if let Ok(trust) = Trust::parse(text) {
        assert_eq!(Trust::parse(&trust.to_string()), Ok(trust));
    }
    if let Ok((name, key)) = PublicKey::parse_vkey(text) {
        assert_eq!(key.vkey(name), text);
    }
});
