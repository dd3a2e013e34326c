//! The registry keeps Weaver's v2 rules and ours, and what the documentation names is in it.
//!
//! Weaver itself is in no package registry; who has it runs `weaver registry check -r schemas/registry --v2`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;

#[test]
fn every_attribute_is_fully_defined() {
    for (file, prefix) in [("provenance.yaml", "provenance."), ("spanseal.yaml", "spanseal.")] {
        let definitions: Definitions = read(file);
        assert_eq!(definitions.file_format, "definition/2");
        assert!(definitions.attribute_groups.is_empty());
        for attribute in &definitions.attributes {
            check_attribute(attribute, prefix);
        }
    }
}

#[track_caller]
fn check_attribute(attribute: &Attribute, prefix: &str) {
    let key = &attribute.key;
    let parts: Vec<&str> = key.split('.').collect();
    let plain = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(key.starts_with(prefix) && parts.iter().all(plain), "{key}");
    assert_eq!(attribute.stability, "development", "{key}");
    check_sentence(&attribute.brief);
    attribute.note.iter().for_each(|note| check_sentence(note));
    match &attribute.r#type {
        Type::Plain(name) => {
            assert!(["string", "int", "boolean", "string[]"].contains(&name.as_str()), "{key}: {name}");
            assert!(!attribute.examples.is_empty(), "{key} has no example");
        }
        Type::Enum { members } => {
            assert!(members.len() > 1, "{key}");
            for member in members {
                assert_eq!(member.id, member.value, "{key}");
                assert_eq!(member.stability, "development", "{key}");
                check_sentence(&member.brief);
            }
        }
    }
}

#[track_caller]
fn check_sentence(text: &str) {
    assert!(text.ends_with('.') && text.starts_with(|first: char| first.is_uppercase() || first == '`'), "{text:?}");
}

#[test]
fn backends_take_what_we_add_to_spans() {
    // Phoenix loses a span over a bytes attribute, and others do not index lists.
    let definitions: Definitions = read("spanseal.yaml");
    assert!(definitions.attributes.len() <= 20);
    for attribute in definitions.attributes {
        assert!(!matches!(attribute.r#type, Type::Plain(name) if name.ends_with("[]")), "{}", attribute.key);
    }
}

#[test]
fn no_key_is_the_beginning_of_another() {
    let keys = own_keys();
    for key in &keys {
        let inside = format!("{key}.");
        assert!(!keys.iter().any(|other| other.starts_with(&inside)), "a value and a namespace: {key}");
    }
}

#[test]
fn names_of_other_conventions_are_referred_to_and_not_defined_again() {
    let definitions: Definitions = read("reused.yaml");
    assert!(definitions.attributes.is_empty());
    for group in definitions.attribute_groups {
        assert!(group.id.starts_with("spanseal.reads."));
        assert_eq!(group.visibility, "internal");
        for reference in group.attributes {
            assert!(!reference.r#ref.starts_with("provenance.") && !reference.r#ref.starts_with("spanseal."));
            check_sentence(&reference.brief);
        }
    }
}

#[test]
fn the_manifest_names_what_the_registry_depends_on() {
    let manifest: Manifest = read("manifest.yaml");
    assert_eq!((manifest.name.as_str(), manifest.stability.as_str()), ("spanseal", "development"));
    check_sentence(&manifest.description);
    assert!(manifest.schema_url.starts_with("https://"));
    assert_eq!(manifest.dependencies.len(), 2);
    for dependency in manifest.dependencies {
        assert!(dependency.schema_url.starts_with("https://opentelemetry.io/schemas/"));
        assert!(dependency.registry_path.ends_with("[model]"));
    }
}

#[test]
fn the_documented_claims_are_in_the_registry() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/claims.md");
    let text = std::fs::read_to_string(path).expect("the claims are documented");
    let quoted = text.split('`').skip(1).step_by(2);
    let named: BTreeSet<&str> = quoted
        .filter(|word| word.starts_with("provenance.") && !word.contains(|other: char| "*/ ".contains(other)))
        .collect();
    assert!(named.contains("provenance.claims"));
    let keys = own_keys();
    let missing: Vec<&&str> = named.iter().filter(|name| !keys.contains(**name)).collect();
    assert!(missing.is_empty(), "documented and not defined: {missing:?}");
}

fn own_keys() -> BTreeSet<String> {
    let all: [Definitions; 2] = [read("provenance.yaml"), read("spanseal.yaml")];
    all.into_iter().flat_map(|definitions| definitions.attributes).map(|attribute| attribute.key).collect()
}

fn read<T: DeserializeOwned>(file: &str) -> T {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("registry").join(file);
    serde_saphyr::from_str(&std::fs::read_to_string(path).expect("the file is there")).expect("the file parses")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    description: String,
    schema_url: String,
    stability: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    schema_url: String,
    registry_path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definitions {
    file_format: String,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    attribute_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attribute {
    key: String,
    r#type: Type,
    stability: String,
    brief: String,
    note: Option<String>,
    #[serde(default)]
    examples: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Type {
    Plain(String),
    Enum { members: Vec<Member> },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    id: String,
    value: String,
    stability: String,
    brief: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    id: String,
    visibility: String,
    attributes: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    r#ref: String,
    brief: String,
}
