//! The `[authority]` section: what it may say, and every mistake named.

use spanseal_authority::Authority;
use spanseal_authority::config::Config;

use crate::fixture::{config, key};

#[track_caller]
fn check(change: impl FnOnce(&mut Config), mistakes: &[&str]) {
    let mut config = config();
    change(&mut config);
    let found = Authority::new(&config, "acme.example/agents").map(drop).map_err(|mistakes| mistakes.to_string());
    assert_eq!(found, if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("\n")) });
}

#[test]
fn every_mistake_is_named_with_its_value_and_remedy() {
    check(|_| {}, &[]);
    check(|config| *config = Config::default(), &[]);
    check(
        |config| {
            config.audience = Some(String::new());
            config.skew_seconds = 4000;
            config.governed.services = vec!["a\nb".into()];
            config.actor[0].key = "ed25519:AAAA".into();
            config.approver[1].name = String::new();
        },
        &[
            "audience = \"\": not a name; write 1 to 1024 bytes without control characters",
            "governed.services[0] = \"a\\nb\": not a name; write 1 to 1024 bytes without control characters",
            "approver[1].name = \"\": not a name; write 1 to 1024 bytes without control characters",
            "skew_seconds = \"4000\": too far apart; write 0 to 3600, and set the clocks",
            "actor[0].key = \"ed25519:AAAA\": the key is not 44 characters of padded base64, which hold 32 bytes; write `ed25519:` and the base64 of its 32 bytes",
        ],
    );
}

#[test]
fn a_key_stands_for_one_party() {
    let shared = format!("approver[0].key = {:?}: actor[0] has this key already; give each its own", key(0xa1));
    check(|config| config.approver[0].key = key(0xa1), &[&shared]);
    let twice = format!("actor[1].key = {:?}: actor[0] has this key already; give each its own", key(0xa1));
    check(|config| config.actor.push(config.actor[0].clone()), &[&twice]);
}

#[test]
fn an_actor_has_one_owner_and_approves_nothing() {
    check(
        |config| {
            let mut second = config.actor[0].clone();
            second.owner = Some("team:other".into());
            second.key = key(1);
            config.actor.push(second);
        },
        &["actor[1].owner = \"team:other\": actor[0] names another owner of the same actor; name one"],
    );
    check(
        |config| config.approver[0].name = config.actor[0].id.clone(),
        &[
            "approver[0].name = \"spiffe://acme.example/agent/deployer\": actor[0] is an actor of this name, and actors cannot approve; name a person",
        ],
    );
}

#[test]
fn an_actor_may_have_several_keys() {
    check(
        |config| {
            let mut second = config.actor[0].clone();
            second.key = key(1);
            config.actor.push(second);
        },
        &[],
    );
}

#[test]
fn the_sealed_form_does_not_depend_on_the_order_in_the_file() {
    let mut turned = config();
    turned.approver.reverse();
    turned.governed.actions = vec!["b".into(), "a".into(), "b".into()];
    let mut straight = config();
    straight.governed.actions = vec!["a".into(), "b".into()];
    let sealed = |config: &Config| Authority::new(config, "acme.example/agents").unwrap().config().clone();
    assert_eq!(sealed(&turned), sealed(&straight));
    assert_eq!(sealed(&straight).audience.as_deref(), Some("acme.example/agents"));
}

#[test]
fn reads_from_toml_and_refuses_unknown_settings() {
    let text = format!(
        r#"
        audience = "acme.example/agents"
        governed = {{ services = ["deploy-agent"], actions = ["secret.rotate"] }}
        [[actor]]
        id = "spiffe://acme.example/agent/deployer"
        owner = "team:platform"
        key = "{}"
        [[approver]]
        name = "bob@acme.example"
        key = "{}"
        [[approver]]
        name = "carol@acme.example"
        key = "{}"
        "#,
        key(0xa1),
        key(0xb0),
        key(0xca)
    );
    let read: Config = toml::from_str(&text).unwrap();
    assert_eq!(read, Config { audience: Some("acme.example/agents".into()), ..config() });
    assert!(toml::from_str::<Config>("auidence = \"x\"").is_err());
    let again: Config = toml::from_str(&toml::to_string(&read).unwrap()).unwrap();
    assert_eq!(again, read);
}
