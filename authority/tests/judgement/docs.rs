//! `docs/claims.md` says what the code does.

use spanseal_authority::action::{Action, arguments_digest};
use spanseal_authority::approval::Approval;
use spanseal_authority::claims::{Business, Claims, Party};
use spanseal_authority::closing::{Closing, Outcome};
use spanseal_authority::config::Config;
use spanseal_authority::json::Json;
use spanseal_authority::key::SigningKey;
use spanseal_authority::{Attributes, Authority, Observed, Reason};
use spanseal_schemas::event::Verdict;
use spanseal_schemas::scan::AnyValue;

const DOC: &str = include_str!("../../../docs/claims.md");

/// Returns the section with this title, whatever its number.
fn section(title: &str) -> &'static str {
    let is_titled = |section: &&str| section.split_once(". ").is_some_and(|(_, rest)| rest.starts_with(title));
    DOC.split("\n## ").find(is_titled).unwrap()
}

#[test]
fn the_table_of_reasons_is_that_of_the_code() {
    let documented: Vec<_> =
        section("Reasons").lines().filter(|line| line.starts_with("| ") && !line.starts_with("| code")).collect();
    let row = |reason: &Reason| {
        let effect = format!("{:?}", reason.effect()).to_lowercase();
        format!("| {} | `{}` | {effect} | {} | {} |", reason.code(), reason.name(), reason.sentence(), reason.remedy())
    };
    assert_eq!(documented, Reason::ALL.iter().map(row).collect::<Vec<_>>());
}

#[test]
fn every_attribute_named_is_defined() {
    let defined = include_str!("../../../schemas/registry/provenance.yaml");
    let named: Vec<_> = DOC.split('`').filter(|word| word.starts_with("provenance.")).collect();
    assert!(named.len() > 40);
    for name in named {
        assert!(defined.contains(&format!("- key: {name}\n")), "{name} is not in the registry");
    }
}

struct Example {
    actor: SigningKey,
    approver: SigningKey,
    arguments: Json,
    claims: Claims,
    approval: Approval,
    closing: Closing,
}

impl Example {
    fn new() -> Self {
        let (actor, approver) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let arguments = Json::Object(vec![("length".into(), Json::Integer(32))]);
        let action = Action {
            kind: "secret.rotate".into(),
            target: Some("vault:prod/billing-db".into()),
            tool: Some("rotate_secret".into()),
            arguments: Some(arguments_digest(&arguments, &[0x0a; 16])),
            salt: [0x0b; 16],
        };
        let approval = Approval {
            audience: "acme.example/agents".into(),
            approver: "bob@acme.example".into(),
            actor: "spiffe://acme.example/agent/deployer".into(),
            key: actor.public().thumbprint(),
            action_digest: action.digest(),
            not_before: 1_794_999_400,
            expires: 1_795_003_000,
            id: "apr-7".into(),
            max_uses: 1,
            ticket: Some("CHG-1042".into()),
            justification: None,
        };
        let claims = Claims {
            audience: "acme.example/agents".into(),
            issued_at: 1_795_000_000,
            producer: [0x0c; 16],
            sequence: 1,
            clearance: [0x0d; 16],
            trace: [0x0e; 16],
            span: [0x0f; 8],
            authorize: Some([0x1f; 8]),
            parent: Some([0x1f; 8]),
            owner: Some("team:platform".into()),
            initiator: Some(Party { id: "alice@acme.example".into(), kind: "human".into() }),
            business: Business { ticket: Some("CHG-1042".into()), ..Business::default() },
            approval: Some(approval.sign(&approver)),
            ..Claims::bare(Party { id: "spiffe://acme.example/agent/deployer".into(), kind: "agent".into() }, action)
        };
        let closing = Closing {
            audience: claims.audience.clone(),
            issued_at: 1_795_000_001,
            producer: claims.producer,
            clearance: claims.clearance,
            trace: claims.trace,
            span: claims.span,
            executed: claims.action_digest,
            outcome: Outcome::Success,
            result: None,
        };
        Self { actor, approver, arguments, claims, approval, closing }
    }

    fn parts(&self) -> Vec<(&'static str, String)> {
        let action = &self.claims.action;
        let member = |name: &str| {
            Json::Object(match self.claims.to_json() {
                Json::Object(members) => match members.into_iter().find(|(member, _)| member == name) {
                    Some((_, Json::Object(members))) => {
                        members.into_iter().filter(|(member, _)| member != "digest").collect()
                    }
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            })
        };
        let salted = format!(r#"{{"arguments":{},"salt":"{}"}}"#, self.arguments.canonical(), "0a".repeat(16));
        vec![
            ("Actor's seed, public key as configured, thumbprint:", "01".repeat(32)),
            ("", self.actor.public().to_string()),
            ("", self.actor.public().thumbprint().to_string()),
            ("Approver's seed, public key as configured, thumbprint:", "02".repeat(32)),
            ("", self.approver.public().to_string()),
            ("", self.approver.public().thumbprint().to_string()),
            ("Arguments with their salt, and their digest:", salted),
            ("", action.arguments.unwrap().to_string()),
            ("The action, and its digest:", member("action").canonical()),
            ("", action.digest().to_string()),
            ("Payload of the approval, and the approval:", self.approval.to_json().canonical()),
            ("", self.approval.sign(&self.approver)),
            ("Payload of the claims, and the claims:", self.claims.to_json().canonical()),
            ("", self.claims.sign(&self.actor)),
            ("Payload of the closing statement, and the statement:", self.closing.to_json().canonical()),
            ("", self.closing.sign(&self.actor)),
        ]
    }
}

#[test]
fn the_worked_example_is_what_the_code_makes() {
    let mut text = String::new();
    for (label, value) in Example::new().parts() {
        if label.is_empty() {
            text.push_str(&format!("{value}\n"));
        } else {
            text.push_str(&format!("{}{label}\n\n```text\n{value}\n", if text.is_empty() { "" } else { "```\n\n" }));
        }
    }
    text.push_str("```");
    assert!(section("Worked example").contains(&text), "the example should read:\n{text}");
}

#[test]
fn the_worked_example_is_proven_under_the_documented_configuration() {
    #[derive(serde::Deserialize)]
    struct File {
        authority: Config,
    }
    let toml = section("Configuration").split("```").nth(1).unwrap().trim_start_matches("toml");
    let file: File = toml::from_str(toml).unwrap();
    let authority = Authority::new(&file.authority, "another name").unwrap();
    let example = Example::new();
    let token = example.claims.sign(&example.actor);
    let mut attributes = Attributes::new();
    let closing = example.closing.sign(&example.actor);
    attributes.push("provenance.claims", AnyValue::String(&token));
    attributes.push("provenance.closing", AnyValue::String(&closing));
    let start_unix_nano = 1_795_000_000_000_000_000;
    let observed = Observed {
        received_unix_nano: start_unix_nano + 2_000_000_000,
        trace_id: &[0x0e; 16],
        span_id: &[0x0f; 8],
        parent_span_id: &[0x1f; 8],
        start_unix_nano,
        end_unix_nano: start_unix_nano + 1_000_000_000,
        attributes: &attributes,
        ..Observed::default()
    };
    assert_eq!(authority.assess(&observed).verdict, Verdict::Proven);
}
