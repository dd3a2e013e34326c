//! The measurements of the read side, with so little to read that they are only known to work.

use std::path::Path;
use std::process::Command;

#[test]
fn the_read_side_can_be_measured() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bench/read.py");
    let few = ["--events", "5120", "--queries", "2", "--pairs", "1", "--pair-spans", "1024", "--json"];
    let output = Command::new("python3")
        .arg(script)
        .args(["--spanseal", env!("CARGO_BIN_EXE_spanseal"), "--folder"])
        .arg(folder.path())
        .args(few)
        .output()
        .expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures["load"]["acknowledged_spans"], 5_120);
    for figure in
        ["/verify/warm", "/verify/resumed", "/reindex", "/lookups/why TRACE, cold", "/acknowledgement/pairs/0"]
    {
        assert!(figures.pointer(figure).is_some(), "no {figure} in {figures:#}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
}
