//! What the program says when it is used rightly and wrongly.

use std::net::TcpListener;

use crate::server::{Server, run};

#[test]
fn every_command_has_help_with_an_example() {
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    // A command stands two characters in; what it says goes on further in.
    let commands = help.lines().filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with([' ', '-'])));
    let names: Vec<_> =
        commands.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        let (code, help, _) = run(&[name, "--help"]);
        assert_eq!(code, Some(0), "{name} --help");
        assert!(help.contains("Example"), "{name} --help shows no example:\n{help}");
    }
}

#[test]
fn a_wrong_flag_exits_2_and_names_it() {
    let (code, _, said) = run(&["verify", "--no-such-flag"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--no-such-flag"), "{said}");
}

#[test]
fn a_taken_port_is_named_with_the_flag_to_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (code, _, said) = run(&["up", "--otlp", &address, "--http", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(said.contains(&address) && said.contains("--otlp"), "{said}");
}

#[test]
fn a_second_process_on_the_same_data_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _first = Server::start(&data, "127.0.0.1:0", &[]);
    let (code, _, said) =
        run(&["up", "--otlp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(said.contains("another process writes to"), "{said}");
}

#[test]
fn a_configuration_with_mistakes_exits_1_and_names_each() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spanseal.toml");
    std::fs::write(&file, "grace_secnds = 3\n[receive]\nlisten = [\"nowhere\"]\n").unwrap();
    let (code, said, _) = run(&["validate", file.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(said.contains("grace_secnds") && said.contains("nowhere"), "{said}");
}

#[test]
fn verifying_what_is_not_there_exits_2() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said, error) = run(&["verify", folder.path().to_str().unwrap()]);
    assert_eq!(code, Some(2), "{said}{error}");
}
