//! Trust files.

use spanseal_ledger::key::KeyError;
use spanseal_ledger::trust::{Trust, TrustError, TrustLineError};

use crate::corpus;

fn text() -> String {
    corpus::base().trust.unwrap().to_string()
}

#[test]
fn a_trust_file_is_read_back_as_it_was_written() {
    let trust = corpus::base().trust.unwrap();
    assert_eq!(Trust::parse(&trust.to_string()), Ok(trust));
}

#[test]
fn comments_and_empty_lines_are_skipped() {
    let commented = text().replacen('\n', "\n# a comment\n\n", 1).replace("pin root", "# another\n\npin root");
    assert_eq!(Trust::parse(&commented), Trust::parse(&text()));
}

#[test]
fn lines_may_end_as_another_system_ends_them() {
    assert_eq!(Trust::parse(&text().replace('\n', "\r\n")), Trust::parse(&text()));
}

#[test]
fn lines_without_a_meaning_are_refused_with_their_number() {
    #[track_caller]
    fn check(text: &str, expected: TrustError) {
        assert_eq!(Trust::parse(text), Err(expected));
    }
    let text = text();
    let line = |number, cause| TrustError::Line { number, cause };
    check("", TrustError::Version);
    check(&text.replace("/v1", "/v2"), TrustError::Version);
    check("spanseal-trust/v1\n", TrustError::Missing { what: "name" });
    check(&text.replace("identity acme", "# acme"), TrustError::Missing { what: "identity" });
    check(&text.replace("name ", "nome "), line(2, TrustLineError::Form));
    check(&text.replace("name ", "name\t"), line(2, TrustLineError::Form));
    check(&text.replace('\n', "\r\r\n"), TrustError::Version);
    check(&text.replace("|acme", "|acme\r\r"), line(8, TrustLineError::Form));
    check(&text.replacen("name ", "name a\nname ", 1), line(3, TrustLineError::Twice));
    check(&text.replace("pin root", ""), line(8, TrustLineError::NoPin));
    check(&text.replace("pin root", "pin root\npin root"), line(8, TrustLineError::Twice));
    check(&text.replace("identity+", "checkpoint+"), line(3, TrustLineError::Key(KeyError::VkeyId)));
    let (before, after) = text.split_once("identity ").unwrap();
    let swapped = format!("{before}checkpoint {}", after.replacen("checkpoint ", "identity ", 1));
    check(&swapped, TrustError::KeyName { role: "identity" });
}
