//! The command line, as a process: what is said where, and the exit code.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

/// A home of its own, and the binary in it with a clean environment.
pub struct Home(tempfile::TempDir);

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn of(Output { status, stdout, stderr }: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }
}

impl Home {
    pub fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    pub fn folder(&self) -> &std::path::Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaterimo"));
        command.env_clear().env("HOME", self.0.path()).envs(variables.iter().copied()).args(arguments);
        Ran::of(command.output().unwrap())
    }

    pub fn run(&self, arguments: &str) -> Ran {
        self.run_with(&[], &arguments.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs with `input` on stdin.
    pub fn run_on(&self, input: &[u8], arguments: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaterimo"));
        command.env_clear().env("HOME", self.0.path()).args(arguments.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // What ends before it has read everything breaks the pipe.
        let _ = child.stdin.take().unwrap().write_all(input);
        Ran::of(child.wait_with_output().unwrap())
    }

    /// Runs what must succeed, and gives its answer.
    pub fn done(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments}");
        ran.out
    }

    /// Runs what must fail with `code`, saying `said` on stderr in one line.
    pub fn refused(&self, arguments: &str, code: i32, said: &str) {
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
    // What came may be a credential, and the screen a log of CI.
    for command in
        ["conformance http://127.0.0.1:9/", "verify x.jsonl http://127.0.0.1:9/", "diff a.json b.json"]
    {
        let ran = home.run(&format!("{command} --header cha_0123456789abcdef"));
        assert!(ran.code == 2 && ran.err.contains("wanted is 'Name: value'"), "{command}: {}", ran.err);
        assert!(!ran.err.contains("cha_0123456789abcdef"), "{command}: {}", ran.err);
    }
    // What is missing is asked for in one line.
    let both = "the server's URL or `-- COMMAND`, such as: chaterimo";
    home.refused(
        "record",
        2,
        &format!("record wants --out FILE and {both} record --out session.jsonl http://"),
    );
    home.refused("record --out x.jsonl --", 2, "record wants --out FILE");
    home.refused(
        "verify x.jsonl",
        2,
        &format!("verify wants a recording and {both} verify session.jsonl http://"),
    );
    home.refused("conformance --era modern", 2, &format!("conformance wants {both} conformance http://"));
    home.refused("diff x.jsonl", 2, "diff wants two of");
    assert_eq!(home.run("").code, 2);
    assert_eq!(home.run("--version").out, format!("chaterimo {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_cause_is_said_when_asked_for() {
    let ran = Home::new().run("-v config check --config /nowhere.toml");
    assert!(ran.err.contains("\n  because: No such file"), "{}", ran.err);
}

/// A home whose data folder has organisation `acme`.
pub fn home_with_acme() -> Home {
    let home = Home::new();
    assert_eq!(home.done("org create acme --plan trial"), "Made organisation acme (acme), plan trial.\n");
    home
}

/// The row of a table that begins with `first`, its cells parted by two spaces or more.
fn row(table: &str, first: &str) -> Vec<String> {
    let cells =
        |line: &str| line.split("  ").map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect();
    let rows: Vec<Vec<String>> = table.lines().map(cells).collect();
    rows.iter().find(|row| row[0] == first).unwrap_or_else(|| panic!("{first} is not in {table}")).clone()
}

#[test]
fn organisations_are_made_planned_and_suspended() {
    let home = Home::new();
    home.refused("org list", 1, "There is no database in");
    home.refused("org create Acme", 2, "\"Acme\" is no slug");
    home.done("org create acme");
    home.done("org create globex --plan paid");
    home.refused("org create acme", 1, "already");
    home.refused("org suspend nobody", 1, "There are: acme, globex.");
    let limits = |slug: &str| row(&home.done("org list"), slug)[2..5].join(" ");
    assert_eq!(limits("acme"), "free 5 5");
    assert_eq!(limits("globex"), "paid 30 1000");
    let check = |arguments: &str, expected: &str| {
        home.done(&format!("plan set acme {arguments}"));
        assert_eq!(limits("acme"), expected, "{arguments}");
    };
    check("trial", "trial 10 100");
    check("trial --per-day 7", "trial 10 7");
    check("paid --unlimited", "paid no limit no limit");
    check("paid --unlimited --per-minute 9", "paid 9 no limit");
    check("free", "free 5 5");
    home.refused("plan set acme free --per-minute 1000000", 2, "At most 10000 calls a minute");
    assert_eq!(home.run("plan set acme gold").code, 2);
    home.done("org suspend acme");
    assert!(row(&home.done("org list"), "acme")[5].starts_with("suspended 20"));
    home.done("org resume acme");
    assert_eq!(row(&home.done("org list"), "acme")[5], "active");
}

#[test]
fn keys_are_shown_once_and_revoked() {
    let home = home_with_acme();
    let ran = home.run("key create --read-only --label laptop");
    assert_eq!(ran.err, "Key 1 of acme (read-only). It is shown this once:\n");
    let key = ran.out.trim_end();
    assert!(key.starts_with("cha_") && key.len() == 53, "{key}");
    let list = home.done("key list");
    assert!(!list.contains(key));
    assert_eq!(row(&list, "1")[1..6], [&format!("{}…", &key[..8]), "read-only", "laptop", "active", "never"]);
    home.done("org create globex");
    home.refused("key list", 2, "Say which organisation with --org; there are: acme, globex.");
    home.refused("key revoke 1 --org globex", 1, "There is no valid key 1");
    home.done("key revoke 1 --org acme");
    assert!(row(&home.done("key list --org acme"), "1")[4].starts_with("revoked 20"));
    home.refused("key revoke 1 --org acme", 1, "There is no valid key 1");
}

#[test]
fn tokenized_urls_are_shown_once_and_revoked() {
    let home = Home::new();
    home.done("org create acme");
    home.refused("url create --tokenized-urls", 1, "run `chaterimo org set acme --tokenized-urls on`.");
    assert!(home.done("org set acme --tokenized-urls on").contains("tokenized URLs are on"));
    home.refused("url create", 1, "put `tokenized_urls = true` into");
    assert!(!home.done("url list").contains("made on"), "nothing was made");
    let made =
        home.run("url create --label editor --from 192.0.2.0/24,2001:db8::1 --days 7 --tokenized-urls");
    assert_eq!(made.code, 0, "{}", made.err);
    let token = made.out.strip_prefix("http://127.0.0.1:8787/mcp-readonly/t/chu_").unwrap();
    assert!(token.ends_with("/\n") && made.out.lines().count() == 1, "{}", made.out);
    for said in ["URL 1 of acme (read-only, 7 days)", "leads to this machine only"] {
        assert!(made.err.contains(said), "{}", made.err);
    }
    assert!(!made.err.contains("chu_"));
    let full = home.run_with(
        &[("CHATERIMO_TOKENIZED_URLS", "true"), ("CHATERIMO_PUBLIC_URL", "https://a.example")],
        &["url", "create", "--full"],
    );
    assert!(full.out.starts_with("https://a.example/mcp/t/chu_"), "{}", full.out);
    assert_eq!(full.err.lines().count(), 1, "{}", full.err);
    home.done("url revoke 2");
    let list = home.done("url list");
    assert_eq!(row(&list, "1")[1..5], ["read-only", "editor", "active", "192.0.2.0/24,2001:db8::1/128"]);
    assert!(row(&list, "2")[3].starts_with("revoked "), "{list}");
    assert!(!list.contains("chu_"));
    home.refused("url revoke 2", 1, "There is no valid URL 2");
    assert_eq!(home.run("url create --days 367").code, 2);
    assert_eq!(home.run("url create --from nonsense").code, 2);
}

#[test]
fn members_come_and_go() {
    let home = home_with_acme();
    let invited = |arguments: &str, path: &str| {
        let ran = home.run(arguments);
        let url = format!("http://127.0.0.1:8787/{path}/min_");
        assert!(ran.code == 0 && ran.out.starts_with(&url) && ran.out.lines().count() == 1, "{}", ran.out);
        assert!(ran.err.contains("works once") && ran.err.contains("--public-url"), "{}", ran.err);
        ran.out
    };
    let first = invited("user add Anna@example.com --role owner", "invitation");
    assert_ne!(invited("user invite anna@example.com", "invitation"), first);
    invited("user add ben@example.com --name Ben", "invitation");
    assert_eq!(row(&home.done("user list"), "anna@example.com")[1..4], ["anna", "owner", "invited"]);
    assert_eq!(row(&home.done("user list"), "ben@example.com")[1..4], ["ben", "analyst", "invited"]);
    home.refused("user remove carl@example.com", 1, "There is no member");
    home.refused("user invite carl@example.com", 1, "There is no member");
    home.refused("user reset-password carl@example.com", 1, "There is nobody");
    home.refused("user reset-password ben@example.com", 1, "use `chaterimo user invite`");
    home.refused("user add nobody", 2, "is no e-mail address");
    home.done("user remove ben@example.com");
    assert!(!home.done("user list").contains("ben@"));
    let ran = home.run("user add dora@example.com --public-url https://a.example");
    assert!(ran.out.starts_with("https://a.example/invitation/min_"), "{}", ran.out);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
}

#[test]
fn one_command_sets_up_the_first_owner() {
    let home = Home::new();
    let ran = home.run_with(
        &[("CHATERIMO_PUBLIC_URL", "https://mcp.example.com")],
        &["org", "create", "acme", "--owner", "anna@example.com"],
    );
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!((ran.code, lines[0]), (0, "Made organisation acme (acme), plan free."), "{}", ran.err);
    assert!(lines[1].starts_with("https://mcp.example.com/invitation/min_"), "{}", ran.out);
    assert_eq!(row(&home.done("user list"), "anna@example.com")[2..4], ["owner", "invited"]);
    home.refused("org create beta --owner anna", 2, "is no e-mail address");
    assert!(!home.done("org list").contains("beta"), "nothing was made");
}

#[test]
fn a_backup_comes_back_with_its_keyring() {
    let home = home_with_acme();
    let (data, other, file) = (home.path(".local/share/chaterimo"), home.path("other"), home.path("copy.db"));
    assert!(home.done(&format!("backup {file}")).contains("connected apps, invitations and reset links"));
    let ran = home.run(&format!("restore --data-dir {other} {file}"));
    assert!(ran.code == 0 && ran.err.contains("keyring.json was lost"), "{}", ran.err);
    assert_eq!(ran.out, format!("Restored 1 organisation to {other}.\n"));
    assert_eq!(row(&home.done(&format!("org list --data-dir {other}")), "acme")[2], "trial");
    home.refused(&format!("backup {file}"), 1, "exists");
    home.refused(&format!("restore {file}"), 1, "--force");

    let second = home.path("second.db");
    home.done(&format!("backup --data-dir {other} {second} --with-keyring"));
    home.done("org create late");
    let answer = home.done(&format!("restore --force {second}"));
    assert!(answer.contains("What was there is now") && answer.contains(".before-restore-2"), "{answer}");
    assert!(!home.done("org list").contains("late"));
    let keyring = |folder: &str| std::fs::read(format!("{folder}/keyring.json")).unwrap();
    assert_eq!(keyring(&data), keyring(&other));
    home.refused(&format!("restore --force {}", home.path("none.db")), 2, "none.db cannot be read");
}

#[test]
#[cfg(unix)]
fn the_doctor_names_what_is_wrong_and_the_remedy() {
    use std::os::unix::fs::PermissionsExt;
    let home = home_with_acme();
    let data = home.path(".local/share/chaterimo");
    let doctor = |said: &str| {
        let ran = home.run("doctor --listen 127.0.0.1:0");
        assert_eq!(ran.code == 0, said.starts_with("All is well"), "{}{}", ran.out, ran.err);
        assert!(ran.out.contains(said), "{} lacks {said}", ran.out);
    };
    doctor("All is well.");
    std::fs::write(format!("{data}/keyring.json"), "[]").unwrap();
    std::fs::set_permissions(format!("{data}/keyring.json"), PermissionsExt::from_mode(0o644)).unwrap();
    doctor("chmod 600");
    std::fs::remove_file(format!("{data}/keyring.json")).unwrap();
    doctor("WRONG  keyring      keyring.json is lost, and with it sign-ins, connected apps");
    home.refused(&format!("backup {} --with-keyring", home.path("copy.db")), 1, "There is no keyring in");
    let ran = home.run("user add ben@example.com");
    assert!(ran.code == 0 && ran.err.contains("keyring.json was lost"), "{}", ran.err);
    doctor("All is well.");
    std::fs::create_dir(home.path("apps")).unwrap();
    std::fs::write(home.path("apps/own.json"), "{}").unwrap();
    let apps = format!("--client-documents-dir {}", home.path("apps"));
    home.refused(&format!("config check {apps}"), 2, "own.json");
    let ran = home.run(&format!("doctor --listen 127.0.0.1:0 {apps}"));
    assert!(ran.code == 1 && ran.out.contains("own.json"), "{}", ran.out);
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o755)).unwrap();
    doctor("chmod 700");
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o700)).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ran = home.run(&format!("doctor --listen {}", taken.local_addr().unwrap()));
    assert!(ran.code == 1 && ran.out.contains("another program has it"), "{}", ran.out);
    std::fs::write(format!("{data}/chaterimo.db"), "This was a database once. ".repeat(400)).unwrap();
    doctor("WRONG  database");
}

/// A server of the home's data, ended with the test.
pub struct Serving(Child);

impl Serving {
    /// Starts it, and gives the line that it says once it accepts connections.
    pub fn start(home: &Home) -> (Serving, serde_json::Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaterimo"));
        command.env_clear().env("HOME", home.0.path()).args(["serve", "--json", "--listen", "127.0.0.1:0"]);
        Serving::of(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// One that was started, and the line that it says.
    pub fn of(child: Child) -> (Serving, serde_json::Value) {
        let (mut serving, mut line) = (Serving(child), String::new());
        BufReader::new(serving.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        (serving, serde_json::from_str(&line).unwrap())
    }

    /// Sends it this signal, and waits for its end; the exit code.
    pub fn signal(&mut self, signal: &str) -> Option<i32> {
        self.tell(signal);
        self.ended()
    }

    /// Sends it this signal.
    pub fn tell(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; the exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Posts `body` to `url`, on a connection of its own; the whole answer.
fn post(url: &str, key: &str, body: &str) -> String {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        connection,
        "POST /{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

/// Whether the mark of a running server says that one runs, or was killed.
fn is_marked(mark: &str) -> bool {
    std::fs::metadata(mark).unwrap().len() > 0
}

#[test]
#[cfg(unix)]
fn a_server_says_where_it_is_answers_and_stops_cleanly() {
    let home = home_with_acme();
    let key = home.run("key create").out.trim_end().to_owned();
    let mark = home.path(".local/share/chaterimo/running");
    let (mut serving, greeting) = Serving::start(&home);
    let url = greeting["url"].as_str().unwrap().to_owned();
    assert_eq!(greeting["readonly_url"].as_str().unwrap(), url.replace("/mcp/", "/mcp-readonly/"));
    assert_eq!(greeting.as_object().unwrap().len(), 2);
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let answer = post(&url, &key, hello);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("serverInfo"), "{answer}");
    assert!(post(&url, "cha_wrong", hello).starts_with("HTTP/1.1 401"));
    assert!(is_marked(&mark));
    let listen = url.strip_prefix("http://").unwrap().strip_suffix("/mcp/").unwrap();
    assert!(home.done(&format!("doctor --listen {listen}")).contains("a server of this folder runs"));
    let copy = home.path("copy.db");
    home.done(&format!("backup {copy}"));
    home.refused(&format!("restore --force {copy}"), 1, "in use");
    assert_eq!(serving.signal("-TERM"), Some(0));
    assert!(!is_marked(&mark));
}

#[test]
#[cfg(unix)]
fn a_server_that_was_killed_is_noticed_at_the_next_start() {
    let home = Home::new();
    let mark = home.path(".local/share/chaterimo/running");
    let (mut killed, _) = Serving::start(&home);
    assert_eq!(killed.signal("-KILL"), None);
    assert!(is_marked(&mark));
    let (mut next, _) = Serving::start(&home);
    assert_eq!(next.signal("-INT"), Some(0));
    assert!(!is_marked(&mark));
}

#[test]
fn a_server_that_would_expose_credentials_does_not_start() {
    let home = Home::new();
    home.refused("serve --listen 0.0.0.0:0", 2, "public_url is not set");
    home.refused("serve --listen 0.0.0.0:0 --public-url https://a.example", 2, "without TLS");
    home.refused("serve --tls-cert cert.pem", 2, "tls_key is not");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ran = home.run(&format!("serve --listen {}", taken.local_addr().unwrap()));
    assert!(ran.code == 2 && ran.out.is_empty() && ran.err.contains("listen"), "{}", ran.err);
}
