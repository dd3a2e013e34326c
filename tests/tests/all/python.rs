//! The second implementation, in Python from `docs/format.md` alone, agrees: on every vector and on a real ledger.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::ledger::Ledger;

#[test]
fn agrees_on_every_vector() {
    let Some(verify) = Verifier::find() else { return };
    verify.succeeds(&["vectors", "ledger/vectors", "schemas/vectors"]);
}

#[tokio::test]
async fn agrees_on_a_ledger_of_a_real_collector_and_finds_it_tampered_with() {
    let Some(verify) = Verifier::find() else { return };
    let ledger = Ledger::make().await;
    let (data, trust) = (ledger.data(), ledger.folder().join("trust"));
    fs::write(&trust, ledger.trust.to_string()).unwrap();
    let arguments = ["directory", data.to_str().unwrap(), "--trust", trust.to_str().unwrap()];
    verify.succeeds(&arguments);

    let stream = fs::read_dir(data.join("streams")).unwrap().next().unwrap().unwrap().path();
    let segment = stream.join(format!("{:020}.seg", 0));
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let output = verify.run(&arguments);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The Python that runs it.
pub(crate) struct Verifier(String);

impl Verifier {
    /// Looks for a Python with `cryptography`: the real suite's own, or the system's; says so when there is none.
    pub(crate) fn find() -> Option<Self> {
        let cache = std::env::var("SPANSEAL_REAL_CACHE").ok();
        let home = std::env::var("HOME").ok().map(|home| format!("{home}/.cache/spanseal-real"));
        let own = cache.or(home).map(|cache| format!("{cache}/python/bin/python"));
        let found = own.into_iter().chain(["python3".to_owned()]).find(|python| {
            let tried = Command::new(python)
                .args(["-c", "import cryptography, sys; sys.exit(sys.version_info < (3, 11))"])
                .output();
            tried.is_ok_and(|tried| tried.status.success())
        });
        if found.is_none() {
            eprintln!("skipped: no Python 3.11 with `cryptography`; tests/real/install.sh python installs one");
        }
        found.map(Self)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts it in the mode that answers one line on stdin by one on stdout.
    pub(crate) fn answering(&self) -> Child {
        self.command(&["batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut command = Command::new(&self.0);
        command.arg("tests/verify.py").args(arguments).current_dir(repository);
        command
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) {
        let Output { status, stdout, stderr } = self.run(arguments);
        let tail: Vec<_> = String::from_utf8_lossy(&stdout).lines().rev().take(20).map(str::to_owned).collect();
        assert!(status.success(), "{tail:#?}\n{}", String::from_utf8_lossy(&stderr));
    }
}
