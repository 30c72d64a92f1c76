//! The command line, as a process: what is said where, and the exit code.

use std::process::{Command, Output};

/// A home of its own, and the binary in it with a clean environment.
struct Home(tempfile::TempDir);

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaterimo"));
        command.env_clear().env("HOME", self.0.path()).envs(variables.iter().copied()).args(arguments);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }

    fn run(&self, arguments: &str) -> Ran {
        self.run_with(&[], &arguments.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs what must succeed, and gives its answer.
    fn done(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments}");
        ran.out
    }

    /// Runs what must fail with `code`, saying `said` on stderr in one line.
    fn refused(&self, arguments: &str, code: i32, said: &str) {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "{arguments}: {}", ran.err);
        assert!(
            ran.err.contains(said) && ran.err.lines().count() == 1,
            "{arguments}: {:?} lacks {said:?}",
            ran.err
        );
    }
}

#[test]
fn settings_are_shown_with_their_origin() {
    let home = Home::new();
    std::fs::write(
        home.path("other.toml"),
        "shutdown_seconds = 3\nallowed_hosts = ['a.example', 'b.example']",
    )
    .unwrap();
    let file = home.path("other.toml");
    let variables =
        [("CHATERIMO_MAX_BODY_BYTES", "2048"), ("CHATERIMO_API_KEY", "cha_hush"), ("CHATERIMO_LSTEN", "1")];
    let ran = home.run_with(&variables, &["config", "check", "--config", &file, "--read-only"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let check = |setting: &str, value: &str, origin: &str| {
        let line = ran.out.lines().find(|line| line.starts_with(setting)).unwrap();
        let columns: Vec<_> = line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
        assert_eq!(columns, [setting, value, origin]);
    };
    check("listen", "127.0.0.1:8787", "default");
    check("shutdown_seconds", "3", &file);
    check("allowed_hosts", "a.example,b.example", &file);
    check("max_body_bytes", "2048", "variable CHATERIMO_MAX_BODY_BYTES");
    check("read_only", "true", "flag --read-only");
    check("api_key", "(hidden)", "variable CHATERIMO_API_KEY");
    check("data_dir", &home.path(".local/share/chaterimo"), "default");
    assert!(ran.out.contains("CHATERIMO_LSTEN is set, but is no setting."), "{}", ran.out);
    assert!(!ran.out.contains("hush") && !ran.err.contains("hush"));
}

#[test]
fn the_file_of_the_data_directory_is_read() {
    let home = Home::new();
    std::fs::write(home.path("chaterimo.toml"), "listen = '127.0.0.1:1'").unwrap();
    let data = home.path("");
    assert!(home.done(&format!("config check --data-dir {data}")).contains("127.0.0.1:1 "));
    std::fs::write(home.path("chaterimo.toml"), "data_dir = '/elsewhere'").unwrap();
    home.refused(&format!("config check --data-dir {data}"), 2, "lies in the data directory itself");
}

#[test]
fn wrong_settings_and_arguments_exit_with_2() {
    let home = Home::new();
    home.refused("config check --listen nowhere", 2, "listen is \"nowhere\" (from flag --listen); wanted is");
    home.refused("config check --listen 0.0.0.0:1", 2, "public_url is not set");
    home.refused("config check --log ,,=", 2, "log is \",,=\"");
    home.refused("config check --config /nowhere.toml", 2, "/nowhere.toml cannot be read");
    assert_eq!(home.run("frobnicate").code, 2);
    assert_eq!(home.run("").code, 2);
    assert_eq!(home.run("--version").out, format!("chaterimo {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_cause_is_said_when_asked_for() {
    let ran = Home::new().run("-v config check --config /nowhere.toml");
    assert!(ran.err.contains("\n  because: No such file"), "{}", ran.err);
}
