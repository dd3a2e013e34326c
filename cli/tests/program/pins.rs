//! A pin never goes back: neither an old signed note nor an old directory takes the place of what was pinned.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::server::{Server, run};

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    /// A ledger of at least so many spans, and no server.
    fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        scene.load("500");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn load(&self, spans: &str) {
        let server = Server::start(&self.path("data"), "127.0.0.1:0", &[]);
        let (code, said, error) = run(&["load", "--to", &server.otlp, "--spans", spans, "--batch", "100"]);
        assert_eq!(code, Some(0), "{said}{error}");
        assert!(server.terminate().success());
    }

    /// The notes of every log.
    fn notes(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut logs = vec![self.path("data/rootlog")];
        logs.extend(fs::read_dir(self.path("data/streams")).unwrap().map(|entry| entry.unwrap().path()));
        logs.into_iter().map(|log| log.join("checkpoint")).map(|note| (note.clone(), fs::read(note).unwrap())).collect()
    }

    /// Pins, and returns the exit code, the answer and the trust file.
    #[track_caller]
    fn pin(&self, more: &[&str]) -> (i32, Value, Vec<u8>) {
        let (trust, data) = (self.path("trust"), self.path("data"));
        let mut arguments = vec!["keys", "pin", trust.to_str().unwrap(), "--data", data.to_str().unwrap(), "--json"];
        arguments.extend(more);
        let (code, said, error) = run(&arguments);
        let answer =
            serde_json::from_str(&said).unwrap_or_else(|_| panic!("{arguments:?} said {said:?} and {error:?}"));
        (code.unwrap(), answer, fs::read(trust).unwrap_or_default())
    }

    /// Pinning is refused, says this, and leaves the file as it was.
    #[track_caller]
    fn refuses(&self, because: &str) {
        let before = fs::read(self.path("trust")).unwrap();
        let (code, answer, after) = self.pin(&[]);
        assert_eq!(code, 1, "{answer:#}");
        assert!(answer["fault"].as_str().unwrap().contains(because), "{because:?} is not in {answer:#}");
        assert!(before == after, "the pins are others");
    }
}

fn put(notes: &[(PathBuf, Vec<u8>)]) {
    notes.iter().for_each(|(path, note)| fs::write(path, note).unwrap());
}

#[test]
fn refuses_notes_older_than_the_pins_and_a_pinned_stream_without_one() {
    let scene = Scene::new();
    let old = scene.notes();
    scene.load("1500");
    let new = scene.notes();
    let (code, answer, _) = scene.pin(&[]);
    assert_eq!((code, answer["first"].as_bool()), (0, Some(true)), "{answer:#}");
    for ((path, note), log) in old.iter().zip(["the root log", "stream "]) {
        fs::write(path, note).unwrap();
        scene.refuses(log);
        scene.refuses("within a second");
        put(&new);
    }
    let (stream_note, _) = &new[1];
    fs::remove_file(stream_note).unwrap();
    scene.refuses("no checkpoint");
    put(&new);
    let (code, answer, _) = scene.pin(&[]);
    assert_eq!((code, answer["first"].as_bool()), (0, Some(false)), "{answer:#}");
}

#[test]
fn an_old_directory_put_back_with_its_notes_is_named() {
    let scene = Scene::new();
    copy(&scene.path("data"), &scene.path("old"));
    scene.load("500");
    assert_eq!(scene.pin(&[]).0, 0);
    // Notes first, as a timer would find them, then the log.
    let new = scene.notes();
    for (path, _) in &new {
        fs::copy(scene.path("old").join(path.strip_prefix(scene.path("data")).unwrap()), path).unwrap();
    }
    scene.refuses("older");
    fs::remove_dir_all(scene.path("data")).unwrap();
    copy(&scene.path("old"), &scene.path("data"));
    scene.refuses("truncated");
    let (trust, data) = (scene.path("trust"), scene.path("data"));
    let (code, said, _) = run(&["verify", data.to_str().unwrap(), "--trust", trust.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn pinning_goes_on_from_where_it_came_before() {
    let scene = Scene::new();
    let resume = scene.path("verified");
    let resume = ["--resume", resume.to_str().unwrap()];
    let (code, first, _) = scene.pin(&resume);
    assert_eq!((code, first["resumed"].as_array().map(Vec::len)), (0, None), "{first:#}");
    scene.load("500");
    let (code, second, trust) = scene.pin(&resume);
    assert_eq!((code, second["resumed"].as_array().map(Vec::len)), (0, Some(1)), "{second:#}");
    assert!(second["events"].as_u64() > first["events"].as_u64(), "{second:#}");
    // What it pins is what one that begins anew pins.
    let (code, anew, again) = scene.pin(&[]);
    assert_eq!((code, &anew["events"]), (0, &second["events"]));
    assert!(trust == again);
}

#[test]
fn a_data_directory_is_its_owners_alone() {
    let scene = Scene::new();
    let mut open = Vec::new();
    let mut paths = vec![scene.path("data")];
    while let Some(path) = paths.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.permissions().mode() & 0o077 != 0 {
            open.push(path.clone());
        }
        if metadata.is_dir() {
            paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert_eq!(open, [""; 0].map(PathBuf::from), "others can read these");
    let log = scene.path("data.log");
    assert!(!fs::read_to_string(&log).unwrap().contains("others"));
    fs::set_permissions(scene.path("data"), fs::Permissions::from_mode(0o755)).unwrap();
    scene.load("100");
    assert_eq!(fs::read_to_string(log).unwrap().matches("can be entered by others").count(), 1);
    assert_eq!(fs::metadata(scene.path("data")).unwrap().permissions().mode() & 0o777, 0o755, "it is left as it is");
}

/// As `docs/operations.md` has it under "Back up"; more is sealed and signed between any two steps.
#[test]
fn a_copy_of_a_running_server_holds_when_notes_come_first() {
    let scene = Scene::new();
    assert_eq!(scene.pin(&[]).0, 0);
    let server = Server::start(&scene.path("data"), "127.0.0.1:0", &[]);
    for (order, expected) in [
        (["streams checkpoint", "rootlog checkpoint", "rootlog seg", "streams seg"], 0),
        (["streams seg", "rootlog seg", "rootlog checkpoint", "streams checkpoint"], 1),
    ] {
        let backup = scene.path(&format!("backup-{expected}"));
        fs::create_dir(&backup).unwrap();
        for step in order {
            let (log, what) = step.split_once(' ').unwrap();
            copy_some(&scene.path("data").join(log), &backup.join(log), what);
            let before = scene.notes();
            let (code, said, error) = run(&["load", "--to", &server.otlp, "--spans", "300", "--batch", "100"]);
            assert_eq!(code, Some(0), "{said}{error}");
            while scene.notes()[1] == before[1] {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        let (trust, backup) = (scene.path("trust"), backup.to_str().unwrap().to_owned());
        let (code, said, error) = run(&["verify", &backup, "--trust", trust.to_str().unwrap()]);
        assert_eq!(code, Some(expected), "{order:?}: {said}{error}");
        assert_eq!(said.contains("truncated"), expected == 1, "{order:?}: {said}");
    }
    assert!(server.terminate().success());
}

/// Copies the files of a directory, and of those in it, that have this name or extension.
fn copy_some(from: &Path, to: &Path, what: &str) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy_some(&path, &target, what);
        } else if path.file_name().is_some_and(|name| name == what) || path.extension().is_some_and(|name| name == what)
        {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// What is verified, without the socket.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.extension().is_none_or(|extension| extension != "sock") {
            fs::copy(&path, &target).unwrap();
        }
    }
}
