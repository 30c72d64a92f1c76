//! Secrets are said to whoever is to have them, once, and nowhere else: not in a log, on another page, in an error, in the
//! database or in an export. A process is taken through all that makes, takes and ends secrets, with its log at the lowest
//! level, and with the secrets in every wrong place.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chaterimo::clock;
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::cli::Home;
use crate::support::*;

const VERIFIER: &str = "canary-verifier-dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const ANNA: &str = "anna@example.com";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const BACK: &str = "http://localhost:51234/callback";

/// `chaterimo serve` as a process, with its log at the lowest level.
pub struct Process {
    child: Child,
    pub address: String,
    log: String,
}

impl Process {
    pub fn start(home: &Home, format: &str) -> Process {
        let log = home.path("log");
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaterimo"));
        command.env_clear().env("HOME", home.folder());
        command.envs([("CHATERIMO_LOG", "trace"), ("CHATERIMO_LOG_FORMAT", format)]);
        command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--tokenized-urls"]);
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let started: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
        let url = started["url"].as_str().unwrap().strip_prefix("http://").unwrap();
        Process { address: url.split('/').next().unwrap().to_owned(), child, log }
    }

    /// The whole answer, to a request of a connection of its own.
    pub fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = request
            .replacen("\r\n", "\r\nConnection: close\r\n", 1)
            .replace(HOST, &format!("Host: {}\r\n", self.address));
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Ends it by `signal`; what it said on stdout and in its log.
    pub fn stop(mut self, signal: &str) -> String {
        Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap();
        let mut said = String::new();
        self.child.stdout.as_mut().unwrap().read_to_string(&mut said).unwrap();
        said + &fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status of an answer.
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// What follows `before` in `text`, up to `after`.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before:?} is not in {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("{after:?} is not in {rest}")).0
}

fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What must not be found of a secret: of a signed one its signature, for the rest would be worth nothing.
fn core(secret: &str) -> &str {
    let signed = secret.len() > 70 && secret.is_char_boundary(secret.len() - 43);
    if signed { &secret[secret.len() - 43..] } else { secret }
}

/// Fails when one of `secrets` is in `text`; says where, and the line.
pub fn no_secret(place: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        if let Some(line) = text.lines().find(|line| line.contains(core(secret))) {
            panic!("{place:.300} says {secret}: {line:.2000}");
        }
    }
}

/// A process, a browser, and what was said to whom.
struct Scene {
    home: Home,
    process: Process,
    cookie: String,
    secrets: Vec<String>,
    /// What was answered to what, without the secrets that the answer is there to give.
    said: Vec<(String, String)>,
}

impl Scene {
    fn new(format: &str) -> Scene {
        let home = Home::new();
        let link = home.run(&format!("org create acme --plan paid --owner {ANNA}")).out;
        let link = format!("min_{}", between(&link, "/invitation/min_", "\n"));
        home.done("plan set acme paid --per-minute 10000 --per-day 100000");
        home.done("org set acme --tokenized-urls on");
        let url = home.run("url create --full --tokenized-urls").out;
        let url = url.trim_end().trim_end_matches('/').rsplit('/').next().unwrap().to_owned();
        let process = Process::start(&home, format);
        let keyring: Value =
            serde_json::from_str(&fs::read_to_string(data(&home, "keyring.json")).unwrap()).unwrap();
        let secrets = vec![link, url, VERIFIER.into(), keyring[0]["key"].as_str().unwrap().into()];
        Scene { home, process, cookie: String::new(), secrets, said: Vec::new() }
    }

    /// Asks; the answer may hold what `given` finds in it, which is a secret from now on.
    fn ask_for(&mut self, request: &str, given: impl Fn(&str) -> Vec<String>) -> String {
        let answer = self.process.ask(request);
        let mut kept = answer.clone();
        for secret in given(&answer) {
            kept = kept.replace(&secret, "");
            self.secrets.push(secret);
        }
        self.said.push((request.lines().next().unwrap_or_default().to_owned(), kept));
        answer
    }

    fn ask(&mut self, request: &str) -> String {
        self.ask_for(request, |_| Vec::new())
    }

    /// Asks as the browser: what it is given as its cookie and in its forms are secrets too.
    fn browse(&mut self, request: &str, given: impl Fn(&str) -> Vec<String>) -> String {
        let cookie =
            if self.cookie.is_empty() { String::new() } else { format!("Cookie: {}\r\n", self.cookie) };
        let request = request.replacen("\r\n", &format!("\r\nAccept: text/html\r\n{cookie}"), 1);
        let answer = self.ask_for(&request, |answer| {
            let mut all = given(answer);
            all.extend(field(answer, "set-cookie").map(|set| between(set, "sid=", ";").to_owned()));
            for name in ["csrf", "request"] {
                let value = answer.split_once(&format!("name=\"{name}\" value=\""));
                all.extend(value.and_then(|(_, rest)| Some(rest.split_once('"')?.0.to_owned())));
            }
            all.retain(|secret| !secret.is_empty());
            all
        });
        if let Some(set) = field(&answer, "set-cookie") {
            self.cookie = set.split(';').next().unwrap().to_owned();
        }
        answer
    }

    fn get(&mut self, path: &str) -> String {
        self.browse(&format!("GET {path} HTTP/1.1\r\n{HOST}\r\n"), |_| Vec::new())
    }

    fn post_for(
        &mut self,
        page: &str,
        target: &str,
        form: &[(&str, &str)],
        given: impl Fn(&str) -> Vec<String>,
    ) -> String {
        let page = self.get(page);
        let csrf = between(&page, "name=\"csrf\" value=\"", "\"").to_owned();
        let mut form = form.to_vec();
        form.push(("csrf", &csrf));
        for name in ["request", "once"] {
            let value = page.split_once(&format!("name=\"{name}\" value=\""));
            form.extend(value.map(|(_, rest)| (name, rest.split('"').next().unwrap())));
        }
        let body = encoded(&form);
        self.browse(&post(target, FORM, &body), given)
    }

    /// Opens a page and sends a form of it; the status must be `expected`.
    fn submit(&mut self, page: &str, target: &str, form: &[(&str, &str)], expected: u16) -> String {
        let answer = self.post_for(page, target, form, |_| Vec::new());
        assert_eq!(status(&answer), expected, "{target}: {answer}");
        answer
    }

    fn secret(&mut self, secret: &str) -> String {
        self.secrets.push(secret.to_owned());
        secret.to_owned()
    }

    /// Has the person allow the app; the code.
    fn allow(&mut self, client: &str) -> String {
        let path = authorization(client);
        let form = [("decision", "allow"), ("organisation", "acme"), ("write", "1")];
        let code = |answer: &str| vec![between(answer, "?code=", "&").to_owned()];
        let answer = self.post_for(&path, "/authorize/decision", &form, code);
        assert_eq!(status(&answer), 303, "{answer}");
        code(&answer).remove(0)
    }

    /// Asks the token endpoint for tokens; the access token and the refresh token.
    fn tokens(&mut self, fields: &str, form: &[(&str, &str)]) -> [String; 2] {
        let names = ["access_token", "refresh_token"];
        let read = |answer: &str| {
            names.map(|name| body(answer)[name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned())
        };
        let answer = self.ask_for(&post("/token", &format!("{FORM}{fields}"), &encoded(form)), |answer| {
            read(answer).into()
        });
        read(&answer)
    }

    fn refused(&mut self, path: &str, fields: &str, form: &[(&str, &str)], expected: u16) {
        let answer = self.ask(&post(path, &format!("{FORM}{fields}"), &encoded(form)));
        assert_eq!(status(&answer), expected, "{path} {form:?}: {answer}");
    }

    fn call(&mut self, bearer: &str, tool: &str, arguments: &Value) -> String {
        let bearer = format!("Authorization: Bearer {bearer}\r\n");
        self.ask(&call("/mcp/", &bearer, tool, &arguments.to_string()))
    }

    /// Registers an app; its id, and its secret if it has one.
    fn register(&mut self, method: &str) -> (String, Option<String>) {
        let app = json!({"client_name": "Canary", "redirect_uris": ["http://localhost/callback"],
            "token_endpoint_auth_method": method, "grant_types": ["authorization_code", "refresh_token"]});
        let read = |answer: &str| body(answer)["client_secret"].as_str().map(str::to_owned);
        let request = post("/register", "Content-Type: application/json\r\n", &app.to_string());
        let answer = self.ask_for(&request, |answer| read(answer).into_iter().collect());
        assert_eq!(status(&answer), 201, "{answer}");
        (body(&answer)["client_id"].as_str().unwrap().to_owned(), read(&answer))
    }

    /// Every file of the data folder but the keyring.
    fn stored(&self) -> String {
        let files = fs::read_dir(data(&self.home, "")).unwrap().map(|file| file.unwrap().path());
        let files = files.filter(|path| path.is_file() && path.file_name().unwrap() != "keyring.json");
        let bytes: Vec<u8> = files.flat_map(|path| fs::read(path).unwrap()).collect();
        assert!(bytes.len() > 100_000, "the database is here");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn data(home: &Home, name: &str) -> String {
    home.path(&format!(".local/share/chaterimo/{name}"))
}

fn authorization(client: &str) -> String {
    let challenge = data_encoding::BASE64URL_NOPAD.encode(ring_sha256(VERIFIER).as_ref());
    let pairs = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", BACK),
        ("state", "canary-state"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("scope", "mcp:read mcp:write"),
    ];
    format!("/authorize?{}", encoded(&pairs))
}

fn ring_sha256(text: &str) -> [u8; 32] {
    chaterimo::access::signed::sha256(text)
}

/// What an app sends with a code.
fn redemption<'a>(client: &'a str, code: &'a str, verifier: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", verifier),
    ]
}

fn refreshing<'a>(client: &'a str, token: &'a str) -> [(&'a str, &'a str); 3] {
    [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)]
}

/// A person comes in, signs in and out, makes a key, invites.
fn people(scene: &mut Scene) -> String {
    let invitation = format!("/invitation/{}", scene.secrets[0]);
    let (first, wrong) = (scene.secret("canary password 1"), scene.secret("canary guess 9"));
    for (password, repeat, expected) in
        [("short", "short", 400), (&*first, &*wrong, 400), (&*first, &*first, 303)]
    {
        scene.submit(&invitation, &invitation, &[("password", password), ("repeat", repeat)], expected);
    }
    assert_eq!(status(&scene.get(&invitation)), 404);
    scene.submit("/account", "/logout", &[], 303);
    scene.submit("/login?next=/keys", "/login", &[("email", ANNA), ("password", &wrong)], 403);
    scene.submit("/login", "/login", &[("email", "nobody@example.com"), ("password", &wrong)], 403);
    scene.submit("/login", "/login", &[("email", ANNA), ("password", &first), ("next", "/keys")], 303);
    let shown = |answer: &str| vec![format!("cha_{}", &between(answer, "cha_", "\n")[..49])];
    let made = scene.post_for("/keys", "/keys", &[("label", "Canary"), ("reach", "full")], shown);
    let key = shown(&made).remove(0);
    let link = |answer: &str| vec![between(answer, "/invitation/", "<").to_owned()];
    let invite = [("action", "invite"), ("email", "ben@example.com"), ("role", "analyst")];
    assert_eq!(status(&scene.post_for("/members", "/members", &invite, link)), 200);
    key
}

/// An app with a secret and one without get tokens, refresh, reuse and revoke them.
fn apps(scene: &mut Scene) {
    let (id, secret) = scene.register("client_secret_basic");
    let basic = BASE64.encode(format!("{id}:{}", secret.unwrap()).as_bytes());
    scene.secrets.push(basic.clone());
    let basic = format!("Authorization: Basic {basic}\r\n");
    let code = scene.allow(&id);
    let wrong = "x".repeat(43);
    scene.refused("/token", "", &redemption(&id, &code, VERIFIER), 401);
    scene.refused("/token", &basic, &redemption(&id, &code, &wrong), 400);
    let [access, refresh] = scene.tokens(&basic, &redemption(&id, &code, VERIFIER));
    assert_eq!(status(&scene.call(&access, "list_chatbots", &json!({}))), 200);
    scene.refused("/token", "", &refreshing(&id, &refresh), 401);
    scene.refused("/token", &basic, &redemption(&id, &code, VERIFIER), 400);
    assert_eq!(status(&scene.call(&access, "list_chatbots", &json!({}))), 401, "the code came twice");

    let (id, _) = scene.register("none");
    let code = scene.allow(&id);
    let [_, first] = scene.tokens("", &redemption(&id, &code, VERIFIER));
    let [_, second] = scene.tokens("", &refreshing(&id, &first));
    let [third, _] = scene.tokens("", &refreshing(&id, &second));
    assert_eq!(status(&scene.call(&third, "list_chatbots", &json!({}))), 200);
    scene.refused("/token", "", &refreshing(&id, &first), 400);
    assert_eq!(status(&scene.call(&third, "list_chatbots", &json!({}))), 401, "an old token came again");
    let code = scene.allow(&id);
    let [access, refresh] = scene.tokens("", &redemption(&id, &code, VERIFIER));
    for token in [&access, &refresh, &refresh] {
        let answer = scene.ask(&post("/revoke", FORM, &encoded(&[("client_id", &id), ("token", token)])));
        assert_eq!(status(&answer), 200, "{answer}");
    }
    scene.refused("/token", "", &refreshing(&id, &refresh), 400);
    scene.submit(&authorization(&id), "/authorize/decision", &[("decision", "deny")], 303);
}

/// The password changes, twice.
fn passwords(scene: &mut Scene) {
    let [first, second, third] = ["canary password 1", "canary password 2", "canary password 3"];
    let [second, third] = [scene.secret(second), scene.secret(third)];
    let form =
        |current, new| [("action", "password"), ("current", current), ("password", new), ("repeat", new)];
    scene.submit("/account", "/account", &form("canary guess 9", &second), 403);
    scene.submit("/account", "/account", &form(first, &second), 303);
    let made = scene.home.run(&format!("user reset-password {ANNA}")).out;
    let link = scene.secret(&format!("min_{}", between(&made, "/reset/min_", "\n")));
    let path = format!("/reset/{link}");
    scene.submit(&path, &path, &[("password", &third), ("repeat", &second)], 400);
    scene.submit(&path, &path, &[("password", &third), ("repeat", &third)], 303);
}

/// Whether a secret is known by its form, so that it can be masked wherever it comes.
fn has_form(secret: &str) -> bool {
    chaterimo::error::without_secrets(secret) == "[SECRET]"
}

/// Requests that carry a secret where none belongs. What a person typed into a field stands in it again.
fn misplaced(secret: &str, key: &str) -> Vec<String> {
    let word = encoded(&[("x", secret)]).split_off(2);
    let get = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\n{HOST}{fields}\r\n");
    let mut all = Vec::new();
    for path in [
        "",
        "mcp/",
        "mcp/t/",
        "mcp-readonly/t/",
        "invitation/",
        "reset/",
        "authorize/",
        "token/",
        "keys/",
        ".well-known/",
    ] {
        all.push(get(&format!("/{path}{word}"), ""));
        all.push(get(&format!("/{path}{word}/x?{word}={word}"), "Accept: text/html\r\n"));
        all.push(post(&format!("/{path}{word}"), FORM, &word));
    }
    for query in ["token", "access_token", "code", "state", "client_id", "redirect_uri", "next", "csrf"] {
        all.push(get(&format!("/mcp/?{query}={word}"), ""));
        all.push(post(&format!("/mcp/?{query}={word}"), JSON, DISCOVER));
        all.push(get(&format!("/authorize?client_id=x&client_id=y&{query}={word}"), "Accept: text/html\r\n"));
    }
    for field in [
        "Authorization",
        "Cookie",
        "X-Forwarded-For",
        "Mcp-Session-Id",
        "Accept",
        "X-MCP-Readonly",
        "Content-Type",
    ] {
        for value in [
            secret.to_owned(),
            format!("Bearer {secret}"),
            format!("sid={secret}"),
            format!("Basic {secret}"),
        ] {
            all.push(get("/mcp/", &format!("{field}: {value}\r\n")));
            all.push(get("/account", &format!("{field}: {value}\r\n")));
            all.push(post("/token", &format!("{FORM}{field}: {value}\r\n"), "grant_type=x"));
            all.push(post("/mcp/", &format!("Authorization: Bearer {key}\r\n{field}: {value}\r\n"), "x"));
        }
    }
    for form in [
        format!("grant_type={word}&client_id=x"),
        format!("grant_type=authorization_code&client_id={word}&code={word}&code_verifier={word}"),
        format!("grant_type=refresh_token&client_id=x&refresh_token={word}"),
        format!("client_id=x&client_secret={word}&token={word}"),
        format!("code={word}&code={word}&{word}={word}"),
        format!("{word}=%ff&scope={word}&resource={word}"),
    ] {
        for path in ["/token", "/revoke"] {
            all.push(post(path, FORM, &form));
            all.push(post(path, JSON, &form));
            all.push(post(
                path,
                &format!("{FORM}Authorization: Basic {}\r\n", BASE64.encode(format!("x:{word}").as_bytes())),
                &form,
            ));
        }
        all.push(post("/login", FORM, &form));
    }
    all.push(format!(
        "GET /mcp/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nX: {secret}\r\n{HOST}\r\n"
    ));
    all.push(format!("{word} / HTTP/1.1\r\n{HOST}\r\n"));
    if !has_form(secret) {
        // Whoever sends it may have it quoted: nobody knows that it is one.
        return all;
    }
    for text in [
        secret.to_owned(),
        format!("\"{secret}\""),
        format!("{{\"{secret}\": 1, \"{secret}\": 2}}"),
        json!({"redirect_uris": [secret]}).to_string(),
        json!({"redirect_uris": ["https://a.example/"], "token_endpoint_auth_method": secret}).to_string(),
        json!({"redirect_uris": secret, "client_name": [secret]}).to_string(),
        json!({"redirect_uris": ["https://a.example/"], "grant_types": [secret]}).to_string(),
    ] {
        all.push(post("/register", "Content-Type: application/json\r\n", &text));
        all.push(post("/mcp/", &format!("Authorization: Bearer {key}\r\n{JSON}"), &text));
    }
    all
}

/// A secret in the arguments of a call: the caller may read what it sent, the log of calls may not.
fn in_arguments(scene: &mut Scene, key: &str) {
    for secret in scene.secrets.clone().iter().filter(|secret| has_form(secret)) {
        for arguments in [json!({"query": format!("find {secret} please")}), json!({secret: [secret]})] {
            let bearer = format!("Authorization: Bearer {key}\r\n");
            scene.process.ask(&call("/mcp/", &bearer, "search_products", &arguments.to_string()));
        }
    }
}

fn check(format: &str) {
    let mut scene = Scene::new(format);
    let key = people(&mut scene);
    assert_eq!(status(&scene.call(&key, "list_chatbots", &json!({}))), 200);
    let url = format!("/mcp/t/{}/", scene.secrets[1]);
    assert_eq!(status(&scene.ask(&call(&url, "", "list_chatbots", "{}"))), 200);
    apps(&mut scene);
    passwords(&mut scene);
    in_arguments(&mut scene, &key);
    let secrets = scene.secrets.clone();
    for secret in &secrets {
        for request in misplaced(secret, &key) {
            if request.contains(&format!("Cookie: {}", scene.cookie)) {
                continue;
            }
            let answer = scene.ask(&request);
            assert!(!answer.is_empty() && status(&answer) < 500, "{request}: {answer}");
        }
    }
    for page in ["/", "/sessions", "/apps", "/keys", "/members", "/account", "/connect", "/chatbots"] {
        assert_eq!(status(&scene.get(page)), 200, "{page}");
    }
    for export in ["/sessions/export.csv", "/sessions/export.jsonl"] {
        let answer = scene.get(export);
        assert!(answer.contains("list_chatbots") && answer.contains("[SECRET]"), "{answer}");
    }
    let stored = scene.stored();
    let Scene { home, process, secrets, said, .. } = scene;
    let log = process.stop("-TERM");
    assert!(log.contains("/invitation/{token}") && log.contains("DEBUG"), "{log:.2000}");
    no_secret("the log", &log, &secrets);
    no_secret("the database", &stored, &secrets);
    for (request, answer) in &said {
        no_secret(&format!("the answer to {request}"), answer, &secrets);
    }
    for command in [
        "key list",
        "url list",
        "user list",
        "client list",
        "org list",
        "config check",
        "doctor",
        "keyring list",
    ] {
        let ran = home.run(command);
        no_secret(command, &(ran.out + &ran.err), &secrets);
    }
}

#[test]
fn secrets_are_said_once_with_a_log_for_people() {
    check("text");
}

#[test]
fn secrets_are_said_once_with_a_log_for_programs() {
    check("json");
}

/// Kills the process, which has just answered, and starts another on the same data.
fn kill(scene: &mut Scene) {
    scene.process.child.kill().unwrap();
    scene.process.child.wait().unwrap();
    scene.process = Process::start(&scene.home, "text");
}

#[test]
#[cfg(unix)]
fn what_an_app_was_answered_holds_after_a_kill() {
    let mut scene = Scene::new("text");
    people(&mut scene);
    let (id, _) = scene.register("none");
    kill(&mut scene);
    let code = scene.allow(&id);
    kill(&mut scene);
    let [access, refresh] = scene.tokens("", &redemption(&id, &code, VERIFIER));
    kill(&mut scene);
    assert_eq!(status(&scene.call(&access, "list_chatbots", &json!({}))), 200);
    let [next, _] = scene.tokens("", &refreshing(&id, &refresh));
    kill(&mut scene);
    assert_eq!(status(&scene.call(&next, "list_chatbots", &json!({}))), 200);
    let form = encoded(&[("client_id", &id), ("token", &next)]);
    assert_eq!(status(&scene.ask(&post("/revoke", FORM, &form))), 200);
    kill(&mut scene);
    assert_eq!(status(&scene.call(&next, "list_chatbots", &json!({}))), 401, "what ended stays ended");
    scene.refused("/token", "", &redemption(&id, &code, VERIFIER), 400);
    kill(&mut scene);
    assert_eq!(status(&scene.call(&access, "list_chatbots", &json!({}))), 401, "the code came twice");
}

#[test]
fn keys_of_the_keyring_come_and_go_under_a_running_server() {
    let mut scene = Scene::new("text");
    people(&mut scene);
    let (id, _) = scene.register("none");
    let code = scene.allow(&id);
    let [access, refresh] = scene.tokens("", &redemption(&id, &code, VERIFIER));
    let new = scene.home.done("keyring rotate").trim_end().to_owned();
    assert_eq!(status(&scene.call(&access, "list_chatbots", &json!({}))), 200);
    let link = scene.home.run(&format!("user reset-password {ANNA}")).out;
    let link = format!("/reset/min_{}", between(&link, "/reset/min_", "\n"));
    assert!(link.starts_with(&format!("/reset/min_{new}_")), "{link}");
    assert_eq!(
        status(&scene.get(&link)),
        200,
        "what another process signed with the new key is known at once"
    );
    let [next, _] = scene.tokens("", &refreshing(&id, &refresh));
    assert!(next.starts_with(&format!("mat_{new}_")), "{next}");
    let listed = scene.home.done("keyring list");
    let old = access.split('_').nth(1).unwrap();
    assert!(
        listed.contains(&format!("{new}  signs")) && listed.contains(&format!("{old}  verifies")),
        "{listed}"
    );
    scene.home.refused("keyring drop nope", 1, "chaterimo keyring list");
    scene.home.done(&format!("keyring drop {old}"));
    scene.home.refused(&format!("keyring drop {new}"), 1, "chaterimo keyring rotate");
    let start = clock::instant();
    while status(&scene.call(&access, "list_chatbots", &json!({}))) != 401 {
        assert!(start.elapsed() < Duration::from_secs(60), "a token of a dropped key must end");
    }
    assert_eq!(status(&scene.call(&next, "list_chatbots", &json!({}))), 200);
    scene.refused("/token", "", &refreshing(&id, &refresh), 400);
    assert_eq!(status(&scene.get("/account")), 303, "who was signed in by the old key signs in again");
}
