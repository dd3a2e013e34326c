//! The committed generated code is what its sources say.
//!
//! `SPANSEAL_REGENERATE=1 cargo test -p spanseal-schemas --test generated` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[test]
fn event_code_is_generated_from_the_protobuf_definitions() {
    let files = protox::compile(["spanseal/v1/event.proto"], [root().join("proto")]).expect("event.proto compiles");
    let out = std::env::temp_dir().join(format!("spanseal-schemas-{}", std::process::id()));
    std::fs::create_dir_all(&out).expect("a directory for the generated code");
    prost_build::Config::new().out_dir(&out).compile_fds(files).expect("code is generated");
    let generated = std::fs::read_to_string(out.join("spanseal.v1.rs")).expect("one file is generated");
    let generated = format!("//! The protobuf events of format.md section 15, for prost.\n{generated}");
    std::fs::remove_dir_all(&out).expect("the directory is removed");
    check_file(&root().join("src/event.rs"), &generated);
}

#[test]
fn names_are_generated_from_the_registry() {
    let mut names = BTreeMap::new();
    for file in ["provenance.yaml", "spanseal.yaml", "reused.yaml"] {
        for (key, brief) in read_definitions(file).names() {
            assert!(names.insert(key.clone(), brief).is_none(), "{key} is defined twice");
        }
    }
    let mut code = String::from(
        "//! Attribute names.\n// This file is @generated from schemas/registry/ by tests/generated.rs.\n",
    );
    for (key, brief) in names {
        let constant = key.to_uppercase().replace('.', "_");
        write!(code, "\n/// `{key}`: {brief}\npub const {constant}: &str = \"{key}\";\n").expect("a string grows");
    }
    check_file(&root().join("src/names.rs"), &code);
}

/// The part of a Weaver definition file (`file_format: definition/2`) that names attributes.
#[derive(Deserialize)]
struct Definitions {
    file_format: String,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    attribute_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Attribute {
    key: String,
    brief: String,
}

#[derive(Deserialize)]
struct Group {
    attributes: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    r#ref: String,
    brief: String,
}

impl Definitions {
    fn names(self) -> impl Iterator<Item = (String, String)> {
        let references = self.attribute_groups.into_iter().flat_map(|group| group.attributes);
        let defined = self.attributes.into_iter().map(|attribute| (attribute.key, attribute.brief));
        defined.chain(references.map(|reference| (reference.r#ref, reference.brief)))
    }
}

fn read_definitions(file: &str) -> Definitions {
    let path = root().join("registry").join(file);
    let text = std::fs::read_to_string(&path).expect("the registry file is there");
    let definitions: Definitions = serde_saphyr::from_str(&text).expect("the registry file parses");
    assert_eq!(definitions.file_format, "definition/2");
    definitions
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn check_file(path: &PathBuf, expected: &str) {
    if std::env::var_os("SPANSEAL_REGENERATE").is_some() {
        std::fs::write(path, expected).expect("the generated file is writable");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == expected,
        "{} differs from its source: run SPANSEAL_REGENERATE=1 cargo test -p spanseal-schemas --test generated",
        path.display()
    );
}
