//! No removal and no alteration makes an action `proven` that was not.

use proptest::prelude::*;
use spanseal_authority::config::{Config, Governed};
use spanseal_schemas::event::Verdict;

use crate::fixture::{Case, SECOND, START};
use crate::reasons::CASES;

/// Every case whose verdict is not `proven`.
fn refused() -> impl Iterator<Item = Case> {
    CASES.iter().map(|(_, _, change)| Case::with(change)).filter(|case| case.judge().verdict != Verdict::Proven)
}

#[test]
fn every_character_of_an_approved_action_counts() {
    let case = Case::approved();
    let token = case.claims_token();
    assert_eq!(case.judge_token(&token).verdict, Verdict::Proven);
    for at in 0..token.len() {
        let removed = [&token[..at], &token[at + 1..]].concat();
        assert_ne!(case.judge_token(&removed).verdict, Verdict::Proven, "without character {at}");
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        let altered = [&token[..at], other, &token[at + 1..]].concat();
        assert_ne!(case.judge_token(&altered).verdict, Verdict::Proven, "with character {at} altered");
    }
}

#[test]
fn every_character_of_a_closing_statement_counts() {
    let case = Case::with(Case::authorise);
    let (claims, closing) = (case.claims_token(), case.closing_token().unwrap());
    assert_eq!(case.judge_tokens(&claims, Some(&closing)).verdict, Verdict::Proven);
    assert_eq!(case.judge_tokens(&claims, None).verdict, Verdict::Unproven);
    for at in 0..closing.len() {
        let removed = [&closing[..at], &closing[at + 1..]].concat();
        assert_eq!(case.judge_tokens(&claims, Some(&removed)).verdict, Verdict::Violated, "without character {at}");
        let other = if closing.as_bytes()[at] == b'A' { "B" } else { "A" };
        let altered = [&closing[..at], other, &closing[at + 1..]].concat();
        assert_eq!(
            case.judge_tokens(&claims, Some(&altered)).verdict,
            Verdict::Violated,
            "with character {at} altered"
        );
    }
}

/// Returns whether the case is an approved action to whose span others added something contradictory: when that goes,
/// what is left is the action as it was signed, and proven.
fn is_only_littered(case: &Case) -> bool {
    let is_authorised = case.closing_token() == Case::with(Case::authorise).closing_token();
    let signed = if is_authorised { Case::with(Case::authorise) } else { Case::approved() };
    case.claims_token() == signed.claims_token()
}

#[test]
fn nothing_taken_away_makes_an_action_proven() {
    let mut tried = 0;
    for case in refused().filter(|case| !is_only_littered(case)) {
        let mut less = vec![
            Case { unsigned: true, ..case.clone() },
            Case { approval: None, ..case.clone() },
            Case { closing: None, ..case.clone() },
            Case { service: "chat", ..case.clone() },
            Case { attributes: Vec::new(), ..case.clone() },
            Case { config: Config { governed: Governed::default(), ..case.config.clone() }, ..case.clone() },
            Case { config: Config { actor: Vec::new(), ..case.config.clone() }, ..case.clone() },
            Case { config: Config { approver: Vec::new(), ..case.config.clone() }, ..case.clone() },
        ];
        less.extend((0..case.attributes.len()).map(|at| {
            let mut less = case.clone();
            less.attributes.remove(at);
            less
        }));
        tried += less.len();
        assert!(less.iter().all(|less| less.judge().verdict != Verdict::Proven));
    }
    assert!(tried > 300, "{tried}");
}

proptest! {
    #[test]
    fn no_altered_byte_makes_an_action_proven(nth in 0..CASES.len(), at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        let (_, what, change) = CASES[nth];
        let case = Case::with(change);
        let before = case.claims_token();
        let mut token = before.clone().into_bytes();
        let at = at.index(token.len());
        token[at] = byte;
        let token = String::from_utf8(token).unwrap();
        let (verdict, altered) = (case.judge_token(&before).verdict, case.judge_token(&token).verdict);
        prop_assert!(altered != Verdict::Proven || verdict == Verdict::Proven, "{}", what);
        // The byte may be what it was, and the record of a decision is no action.
        prop_assert!(altered != Verdict::NoAction || token == before, "{}", what);
    }

    #[test]
    fn no_other_approval_bytes_make_an_action_proven(at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        // Even an actor that embeds an altered approval and signs over it gains nothing.
        let case = Case::approved();
        let approval = case.approval_token().unwrap();
        let mut altered = approval.clone().into_bytes();
        let at = at.index(altered.len());
        altered[at] = byte;
        let altered = String::from_utf8(altered).unwrap();
        let claims = spanseal_authority::claims::Claims { approval: Some(altered.clone()), ..case.claims.clone() };
        let token = claims.sign(&spanseal_authority::key::SigningKey::from_seed(&case.actor_seed));
        prop_assert_eq!(case.judge_token(&token).verdict == Verdict::Proven, altered == approval);
    }

    #[test]
    fn no_text_in_the_place_of_the_claims_makes_an_action_proven(text in ".{0,400}", parts in prop::collection::vec("[A-Za-z0-9_-]{0,80}", 3)) {
        for token in [text, parts.join(".")] {
            let found = Case::approved().judge_token(&token);
            prop_assert!(matches!(found.verdict, Verdict::Violated | Verdict::Unproven), "{}", token);
        }
    }

    #[test]
    fn no_approval_for_another_moment_makes_an_action_proven(start in any::<u64>(), end in any::<u64>(), received in any::<u64>()) {
        let far = start.abs_diff(START * SECOND) > 700 * SECOND;
        let found = Case { start, end, received, ..Case::approved() }.judge();
        prop_assert!(!far || found.verdict == Verdict::Violated);
    }
}
