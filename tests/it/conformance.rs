//! The server passes its own conformance: both eras, over HTTP and on stdio; and the command says so by its exit code.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Server, key};
use chaterimo::http::Limits;

/// Runs `chaterimo conformance` with `arguments`.
fn conformance(arguments: &[&str], api_key: Option<&str>) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaterimo"));
    command.env_clear().env("HOME", home.path()).envs(api_key.map(|key| ("CHATERIMO_API_KEY", key)));
    command.args(["conformance", "--data-dir"]).arg(home.path()).args(arguments).output().unwrap()
}

/// Nothing failed, and enough was tested in each revision.
fn check(ran: &Output, revisions: &[(&str, usize)]) {
    let report: Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&ran.stderr)));
    let findings = report["findings"].as_array().unwrap();
    let broken: Vec<_> = findings
        .iter()
        .filter(|finding| finding["outcome"] == "failed")
        .map(|finding| format!("{} {}: {}", finding["revision"], finding["id"], finding["detail"]))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(ran.status.success());
    for (revision, least) in revisions {
        let passed = |finding: &&Value| finding["revision"] == *revision && finding["outcome"] == "passed";
        let count = findings.iter().filter(passed).count();
        assert!(count >= *least, "{revision}: {count} passed");
    }
}

#[test]
fn nothing_fails_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "shop", false);
    let server = Server::start(folder.path(), Limits::default());
    let (url, header) = (format!("http://{}/mcp/", server.address), format!("Authorization: Bearer {key}"));
    let ran = conformance(&[&url, "--header", &header, "--output", "json"], None);
    check(&ran, &[("2026-07-28", 50), ("2025-11-25", 40)]);
    assert!(!String::from_utf8_lossy(&ran.stdout).contains(&key), "the key is in the report");
    let older = ["--revision", "2024-11-05", "--revision", "2025-03-26", "--revision", "2025-06-18"];
    let mut arguments = vec![&*url, "--header", &*header, "--output", "json"];
    arguments.extend(older);
    check(&conformance(&arguments, None), &[("2024-11-05", 20), ("2025-03-26", 30), ("2025-06-18", 35)]);
    // Without a key nothing can be tested, which is told apart from a failure.
    let ran = conformance(&[&url], None);
    assert_eq!(ran.status.code(), Some(2), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn nothing_fails_on_stdio() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "shop", false);
    let data = folder.path().to_str().unwrap();
    let arguments = ["--output", "json", "--", env!("CARGO_BIN_EXE_chaterimo"), "stdio", "--data-dir", data];
    check(&conformance(&arguments, Some(&key)), &[("2026-07-28", 40), ("2025-11-25", 30)]);
}

#[test]
fn what_is_expected_to_fail_and_does_not_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "shop", false);
    let server = Server::start(folder.path(), Limits::default());
    let (url, header) = (format!("http://{}/mcp/", server.address), format!("Authorization: Bearer {key}"));
    let file = folder.path().join("expected.yml");
    std::fs::write(&file, "server:\n  - ping # mended long ago\n").unwrap();
    let expected = file.to_str().unwrap();
    let arguments = [&*url, "--header", &*header, "--only", "ping", "--expected-failures", expected];
    let ran = conformance(&arguments, None);
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stdout));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("Take it off the list"));
    let ran = conformance(&["--list"], None);
    assert!(String::from_utf8_lossy(&ran.stdout).contains("tools.list"));
}
