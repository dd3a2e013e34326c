//! Every command and configuration in the docs is run: a page is a script, in an empty folder, with the program on its path.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::run;

#[test]
fn the_commands_of_the_readme_run() {
    check_page("README.md");
}

#[test]
fn the_commands_of_the_operations_page_run() {
    check_page("docs/operations.md");
}

#[test]
fn every_configuration_in_the_docs_and_every_shipped_one_is_usable() {
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for page in ["README.md", "docs/operations.md", "docs/claims.md", "docs/threats.md"] {
        for block in blocks(page, "toml") {
            let file = folder.path().join("block.toml");
            fs::write(&file, &block).unwrap();
            assert_usable(&file, page);
            checked += 1;
        }
    }
    for entry in fs::read_dir(repository().join("pipelines/configs")).unwrap() {
        let path = entry.unwrap().path();
        assert_usable(&path, "pipelines/configs");
        checked += 1;
    }
    assert!(checked >= 3, "only {checked} configurations found");
}

#[test]
fn the_readmes_collector_lines_are_those_that_the_real_collector_is_tested_with() {
    let tested = fs::read_to_string(repository().join("tests/real/otelcol-config.yaml")).unwrap();
    let block = blocks("README.md", "yaml").concat();
    let numbered: Vec<_> = block.lines().filter(|line| line.contains(" # ")).map(str::trim).collect();
    assert_eq!(numbered.len(), 5, "{block}");
    for line in numbered {
        let setting = line.split(" # ").next().unwrap_or_default().trim();
        let setting = setting.replace("127.0.0.1:4317", "${env:SPANSEAL_ENDPOINT}");
        assert!(tested.contains(&setting), "the tested configuration has no {setting:?}");
    }
}

#[track_caller]
fn assert_usable(file: &Path, page: &str) {
    let (code, said, error) = run(&["validate", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{page}: {said}{error}");
}

/// Runs a page's `sh` blocks as one script: stops at the first command that fails, and ends what it started.
#[track_caller]
fn check_page(page: &str) {
    let script = blocks(page, "sh").concat();
    assert!(script.contains("spanseal "), "{page} has no commands");
    let folder = tempfile::tempdir().unwrap();
    let (otlp, other, http) = (free_address(), free_address(), free_address());
    let script =
        script.replace("127.0.0.1:4317", &otlp).replace("127.0.0.1:4318", &other).replace("127.0.0.1:4319", &http);
    let program = Path::new(env!("CARGO_BIN_EXE_spanseal")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("bash")
        .args([
            "-c",
            &format!("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n{PATIENT}\n{script}"),
        ])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("SPANSEAL_OTLP", format!("{otlp},{other}"))
        .env("SPANSEAL_HTTP", &http)
        .output()
        .expect("bash is there");
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{page}\n--- script\n{script}\n--- output\n{said}\n--- error\n{error}");
}

/// A reader types the next command when the server is up; the script waits for it, and for the index
/// after `load`. `up` takes the place of its shell, so
/// that the shell's job is the server.
const PATIENT: &str = r#"spanseal() {
  if [ "$1" = up ]; then exec spanseal "$@"; fi
  if [ -n "$(jobs -p)" ]; then
    for n in $(seq 100); do command spanseal health >/dev/null 2>&1 && break; sleep 0.1; done
  fi
  command spanseal "$@"
  if [ "$1" = load ]; then
    local data=$(ls -td ./*-data | head -1)
    for n in $(seq 100); do
      command spanseal find --data "$data" --service support-agent --limit 1 | grep -q '^1 found' && break; sleep 0.1
    done
  fi
}"#;

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Returns the fenced blocks of a page in one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == format!("```{language}") {
            let block = lines.by_ref().take_while(|line| line.trim() != "```");
            found.push(block.map(|line| format!("{line}\n")).collect());
        } else if line.trim_start().starts_with("```") {
            lines.by_ref().find(|line| line.trim() == "```");
        }
    }
    found
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the repository").to_owned()
}
