//! Who may import whom: the table of ARCHITECTURE.md, held against the manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn crates_import_only_what_the_architecture_allows() {
    let allowed = BTreeMap::from([
        ("schemas", vec![]),
        ("ledger", vec![]),
        ("log", vec!["ledger"]),
        ("authority", vec!["schemas"]),
        ("sdk", vec!["schemas", "authority", "macros"]),
        ("collector", vec!["schemas", "ledger", "log", "authority"]),
        ("pipelines", vec!["schemas", "ledger", "log", "authority"]),
        ("cli", vec!["schemas", "ledger", "log", "authority", "sdk", "collector", "pipelines"]),
    ]);
    for (folder, allowed) in allowed {
        let imported = imports(folder);
        let surplus: Vec<_> = imported.iter().filter(|import| !allowed.contains(&import.as_str())).collect();
        assert!(surplus.is_empty(), "{folder} imports {surplus:?}");
    }
}

#[test]
fn the_ledger_and_the_schemas_import_no_host() {
    let hosts = ["std::time", "std::net", "std::fs", "std::thread", "std::process", "tokio", "tracing"];
    for folder in ["schemas", "ledger"] {
        for file in sources(&repository().join(folder).join("src")) {
            let text = fs::read_to_string(&file).unwrap();
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            for host in hosts {
                assert!(!product.contains(&format!("use {host}")), "{} uses {host}", file.display());
            }
        }
    }
}

/// Returns the folders of the workspace's crates that a crate depends on in the product.
fn imports(folder: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(repository().join(folder).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let names = manifest["dependencies"].as_table().unwrap().keys();
    let ours = names.filter_map(|name| if name == "spanseal" { Some("sdk") } else { name.strip_prefix("spanseal-") });
    ours.map(str::to_owned).collect()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let (dirs, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let own = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    own.chain(dirs.iter().flat_map(|dir| sources(dir))).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
