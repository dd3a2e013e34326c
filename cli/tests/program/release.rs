//! `.ci/release` and `spanseal completions`: what is given to users, and that it is the same bytes each time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::run;

#[test]
fn the_release_archive_is_whole_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let (once, again) = (release(&folder.path().join("once")), release(&folder.path().join("again")));
    assert!(fs::read(&once).unwrap() == fs::read(&again).unwrap(), "the same binary makes another archive");
    let dir = once.parent().unwrap();
    succeeds(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(dir));
    succeeds(Command::new("tar").arg("-xzf").arg(&once).current_dir(dir));

    let unpacked = dir.join(once.file_name().unwrap().to_str().unwrap().strip_suffix(".tar.gz").unwrap());
    let version = succeeds(Command::new(unpacked.join("spanseal")).arg("--version"));
    assert_eq!(version.trim(), format!("spanseal {}", env!("CARGO_PKG_VERSION")));
    for file in ["LICENSE", "README.md", "CHANGELOG.md", "completions/_spanseal", "completions/spanseal.fish"] {
        assert!(fs::metadata(unpacked.join(file)).unwrap().len() > 100, "{file}");
    }
    let config = unpacked.join("configs/embedded.toml");
    assert_eq!(run(&["validate", config.to_str().unwrap()]).0, Some(0));
    let bash = unpacked.join("completions/spanseal.bash");
    let completed = succeeds(Command::new("bash").arg("-c").arg(format!(
        "source {}; COMP_WORDS=(spanseal ver); COMP_CWORD=1; _spanseal spanseal ver spanseal; echo ${{COMPREPLY[@]}}",
        bash.display()
    )));
    assert_eq!(completed.trim(), "verify");
}

#[test]
fn completions_are_made_for_every_shell_and_of_no_hidden_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, error) = run(&["completions", shell]);
        assert_eq!(code, Some(0), "{error}");
        assert!(script.contains("verify") && script.contains("max-age"), "{shell}");
        assert!(!script.contains("demo-agent"), "{shell}");
    }
    assert_eq!(run(&["completions", "no-shell"]).0, Some(2));
}

/// Makes the archive of the program under test and returns its path.
fn release(out: &Path) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(".ci/release");
    let said = succeeds(Command::new(script).args(["--binary", env!("CARGO_BIN_EXE_spanseal"), "--out"]).arg(out));
    PathBuf::from(said.trim())
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
