use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, LOCATION};
use hyper::{Request, Response};
use tokio::net::TcpListener;

use super::super::Server;
use super::super::testing::server_with;
use super::*;
use crate::client::testing::{TestBody, serve_tls, streamed, whole};
use crate::clock::{HOUR, SECOND};

const JSON: &str = "application/json";

/// Documents from this machine, in development.
fn near() -> Options {
    Options {
        mode: ClientDocuments::Fetch,
        folder: None,
        ca_file: Some("tests/tls/ca.pem".into()),
        loopback: true,
    }
}

fn document(url: &str, name: &str) -> String {
    format!(
        r#"{{"client_id":"{url}","client_name":"{name}","redirect_uris":["http://localhost/callback"],
        "grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none"}}"#
    )
}

async fn find(server: &Server, url: &str) -> Result<String, Blame> {
    server.find_client(url, 1).await.map(|client| client.unwrap().name).map_err(|failure| failure.blame)
}

/// A server on this machine whose answers a test picks one after the other; what it was asked is counted.
struct App {
    origin: String,
    url: String,
    asked: Arc<AtomicUsize>,
    next: Arc<Mutex<Vec<Response<TestBody>>>>,
}

impl App {
    async fn start() -> App {
        let next: Arc<Mutex<Vec<Response<TestBody>>>> = Arc::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let (answers, count) = (Arc::clone(&next), Arc::clone(&asked));
        let origin = serve_tls(move |request: Request<Bytes>| {
            count.fetch_add(1, SeqCst);
            assert_eq!(request.headers()["accept-encoding"], "identity");
            assert!(
                !request.headers().contains_key("cookie") && !request.headers().contains_key("authorization")
            );
            let answer = answers.lock().unwrap().pop();
            async move { answer.unwrap_or_else(|| whole(503, JSON, "{}")) }
        })
        .await;
        let url = format!("{origin}/client.json");
        App { origin, url, asked, next }
    }

    fn will_answer(&self, answer: Response<TestBody>) {
        self.next.lock().unwrap().push(answer);
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, SeqCst)
    }
}

#[tokio::test]
async fn a_document_is_fetched_once_while_it_is_fresh() {
    let (_folder, server) = server_with(&near());
    let app = App::start().await;
    let mut answer = whole(200, "application/json; charset=utf-8", document(&app.url, "One"));
    answer.headers_mut().insert(CACHE_CONTROL, "max-age=600".parse().unwrap());
    app.will_answer(answer);
    assert_eq!(find(&server, &app.url).await, Ok("One".to_owned()));
    server.clock.advance(599 * SECOND);
    assert_eq!(find(&server, &app.url).await, Ok("One".to_owned()));
    assert_eq!(app.asked(), 1);
    server.clock.advance(2 * SECOND);
    app.will_answer(whole(200, JSON, document(&app.url, "Two")));
    assert_eq!(find(&server, &app.url).await, Ok("Two".to_owned()));
    assert_eq!(app.asked(), 1);
}

#[tokio::test]
async fn whose_fault_it_is() {
    let (_folder, server) = server_with(&near());
    let app = App::start().await;
    let proper = document(&app.url, "App");
    let check = async |answer: Response<TestBody>, expected: Blame| {
        server.clock.advance(HOUR);
        app.will_answer(answer);
        assert_eq!(find(&server, &app.url).await, Err(expected));
        assert_eq!(app.asked(), 1, "no answer of these is kept");
    };
    check(whole(200, "text/html", "<!DOCTYPE html>"), Blame::App).await;
    check(whole(200, "text/html", proper.clone()), Blame::App).await;
    check(whole(404, JSON, proper.clone()), Blame::App).await;
    check(whole(500, JSON, proper.clone()), Blame::App).await;
    check(whole(201, JSON, proper.clone()), Blame::App).await;
    let mut elsewhere = whole(302, JSON, "");
    elsewhere.headers_mut().insert(LOCATION, format!("{}/other.json", app.origin).parse().unwrap());
    check(elsewhere, Blame::App).await;
    let mut packed = whole(200, JSON, proper.clone());
    packed.headers_mut().insert(CONTENT_ENCODING, "gzip".parse().unwrap());
    check(packed, Blame::App).await;
    check(whole(200, JSON, "<!DOCTYPE html>"), Blame::Document).await;
    check(whole(200, JSON, format!("{proper}{}", " ".repeat(6_000))), Blame::Document).await;
    check(whole(200, JSON, document(&format!("{}/", app.url), "App")), Blame::Document).await;
    check(whole(200, JSON, proper.replacen('{', r#"{"client_name":"Twin","#, 1)), Blame::Document).await;
    check(whole(200, JSON, proper.replacen('{', r#"{"client_secret":"x","#, 1)), Blame::Document).await;
    app.will_answer(whole(200, JSON, proper));
    assert_eq!(find(&server, &app.url).await, Ok("App".to_owned()));
}

#[tokio::test]
async fn exactly_five_kilobytes_are_read() {
    let (_folder, server) = server_with(&near());
    let app = App::start().await;
    let text = document(&app.url, "App");
    let padding = " ".repeat(fetch::MAX_BYTES - text.len());
    app.will_answer(whole(200, JSON, format!("{text}{padding}")));
    assert_eq!(find(&server, &app.url).await, Ok("App".to_owned()));
}

#[tokio::test]
async fn a_stale_copy_serves_while_the_apps_server_is_out_of_order() {
    let (_folder, server) = server_with(&near());
    let app = App::start().await;
    app.will_answer(whole(200, JSON, document(&app.url, "App")));
    assert_eq!(find(&server, &app.url).await, Ok("App".to_owned()));
    app.asked();
    server.clock.advance(HOUR);
    for _ in 0..3 {
        assert_eq!(find(&server, &app.url).await, Ok("App".to_owned()));
    }
    assert_eq!(app.asked(), 1, "it is left alone for a minute");
    server.clock.advance(61 * SECOND);
    app.will_answer(whole(200, JSON, "{}"));
    assert_eq!(
        find(&server, &app.url).await,
        Err(Blame::Document),
        "a document that breaks the rules is no outage"
    );
    server.clock.advance(STALE_MAX);
    assert_eq!(find(&server, &app.url).await, Err(Blame::App), "a week is the most");
    assert_eq!(app.asked(), 2);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fetcher = fetch::Fetcher::new(&near()).unwrap().within(Duration::from_millis(200));
    let url = format!("https://localhost:{}/client.json", listener.local_addr().unwrap().port());
    // It takes the connection and never says a word.
    let failure = fetcher.fetch(&url, fetcher.deadline()).await.err().unwrap();
    assert_eq!((failure.blame, failure.reason.as_str()), (Blame::App, "no answer within 0.2 s"));
}

#[tokio::test]
async fn no_more_than_eight_are_fetched_at_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/client.json", listener.local_addr().unwrap().port());
    let fetcher = Arc::new(fetch::Fetcher::new(&near()).unwrap().within(Duration::from_secs(60)));
    let fetch = || {
        let (fetcher, url) = (Arc::clone(&fetcher), url.clone());
        tokio::spawn(async move { fetcher.fetch(&url, fetcher.deadline()).await.err().unwrap().blame })
    };
    let silent: Vec<_> = (0..8).map(|_| fetch()).collect();
    let mut taken = Vec::new();
    while taken.len() < 8 {
        taken.push(listener.accept().await.unwrap());
    }
    let ninth = fetch();
    let dialled = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(dialled.is_err(), "the ninth waits");
    drop(taken);
    for fetching in silent {
        assert_eq!(fetching.await.unwrap(), Blame::App);
    }
    let _ = listener.accept().await.unwrap();
    assert_eq!(ninth.await.unwrap(), Blame::App, "its turn came");
}

#[tokio::test]
async fn one_deadline_is_for_the_turn_and_for_the_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/client.json", listener.local_addr().unwrap().port());
    let fetcher = Arc::new(fetch::Fetcher::new(&near()).unwrap());
    let over = Instant::from_std(crate::clock::instant());
    let check = async |blame: Blame, reason: &str| {
        let failure = fetcher.fetch(&url, over).await.err().unwrap();
        assert_eq!((failure.blame, failure.reason.as_str()), (blame, reason));
    };
    check(Blame::App, "no answer within 5 s").await;
    let fetch = || {
        let (fetcher, url) = (Arc::clone(&fetcher), url.clone());
        tokio::spawn(async move { fetcher.fetch(&url, fetcher.deadline()).await.is_ok() })
    };
    let silent: Vec<_> = (0..8).map(|_| fetch()).collect();
    let mut taken = Vec::new();
    while taken.len() < 8 {
        taken.push(listener.accept().await.unwrap());
    }
    check(Blame::Server, "8 other documents are being fetched").await;
    silent.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_too() {
    let (drops, answer) = streamed(JSON);
    let answer = Mutex::new(Some(answer));
    let origin = serve_tls(move |_| {
        let answer = answer.lock().unwrap().take().unwrap();
        async move { answer }
    })
    .await;
    drops.send("{".into()).unwrap();
    let fetcher = fetch::Fetcher::new(&near()).unwrap().within(Duration::from_millis(300));
    let failure = fetcher.fetch(&format!("{origin}/client.json"), fetcher.deadline()).await.err().unwrap();
    assert_eq!((failure.blame, failure.reason.as_str()), (Blame::App, "no answer within 0.3 s"));
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_fetch() {
    let (_folder, server) = server_with(&near());
    let server = Arc::new(server);
    let app = App::start().await;
    app.will_answer(whole(200, JSON, document(&app.url, "App")));
    let ask = |user| {
        let (server, url) = (Arc::clone(&server), app.url.clone());
        tokio::spawn(async move { server.find_client(&url, user).await.unwrap().unwrap().name })
    };
    for asking in (0..20).map(ask).collect::<Vec<_>>() {
        assert_eq!(asking.await.unwrap(), "App");
    }
    assert_eq!(app.asked(), 1);
}

#[tokio::test]
async fn one_person_has_ten_documents_fetched_a_minute() {
    let (_folder, server) = server_with(&near());
    let app = App::start().await;
    let ask = async |number: usize, user| {
        let found = server.find_client(&format!("{}/{number}", app.origin), user).await;
        found.err().map(|failure| failure.blame)
    };
    for number in 0..10 {
        assert_eq!(ask(number, 1).await, Some(Blame::App));
    }
    assert_eq!(ask(10, 1).await, Some(Blame::Asker));
    assert_eq!(ask(10, 2).await, Some(Blame::App), "each by themselves");
    server.clock.advance(6 * SECOND);
    assert_eq!(ask(11, 1).await, Some(Blame::App));
    assert_eq!(app.asked(), 12);
}

#[tokio::test]
async fn nothing_inside_the_network_is_ever_dialled() {
    let (_folder, server) = server_with(&Options { loopback: false, ..near() });
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "0x7f.0.0.1", "[::ffff:127.0.0.1]"]
    {
        for url in [format!("https://{host}:{port}/c"), format!("https://{host}/c")] {
            assert_eq!(find(&server, &url).await, Err(Blame::Id), "{url}");
        }
    }
    // Past the rules of addresses, the client itself refuses what a name resolves to.
    let fetcher = fetch::Fetcher::new(&Options { loopback: false, ..near() }).unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let failure =
            fetcher.fetch(&format!("https://{host}:{port}/c"), fetcher.deadline()).await.err().unwrap();
        assert_eq!(failure.blame, Blame::Id, "{failure:?}");
    }
    let dialled = tokio::time::timeout(Duration::from_millis(20), canary.accept()).await;
    assert!(dialled.is_err(), "the canary was dialled");
}

#[tokio::test]
async fn known_clients_need_no_way_out() {
    for mode in [ClientDocuments::Fetch, ClientDocuments::Known] {
        let (_folder, server) = server_with(&Options { mode, ..near() });
        let code = "https://claude.ai/oauth/claude-code-client-metadata";
        assert_eq!(find(&server, code).await, Ok("Claude Code".to_owned()));
        assert_eq!(server.documents.at_hand(&server.store, code).unwrap().unwrap().name, "Claude Code");
    }
    let (_folder, server) = server_with(&Options { mode: ClientDocuments::Known, ..near() });
    assert_eq!(find(&server, "https://app.example.com/c").await, Err(Blame::Settings));
    let (_folder, server) = server_with(&Options { mode: ClientDocuments::Off, ..near() });
    let code = "https://claude.ai/oauth/claude-code-client-metadata";
    assert_eq!(find(&server, code).await, Err(Blame::Settings));
    assert!(server.documents.at_hand(&server.store, code).unwrap().is_none());
}

#[tokio::test]
async fn only_the_exact_url_is_the_known_client() {
    let (_folder, server) = server_with(&Options { mode: ClientDocuments::Known, ..near() });
    for url in [
        "https://claude.ai/oauth/claude-code-client-metadata/",
        "https://claude.ai/oauth/claude-code-client-metadata?v=1",
        "https://claude.ai:443/oauth/claude-code-client-metadata",
        "https://CLAUDE.ai/oauth/claude-code-client-metadata",
        "https://claude.ai/oauth/Claude-Code-client-metadata",
        "https://claude.ai/oauth/./claude-code-client-metadata",
        "https://claude.ai.evil.example/oauth/claude-code-client-metadata",
        "https://claude.ai@evil.example/oauth/claude-code-client-metadata",
        "HTTPS://claude.ai/oauth/claude-code-client-metadata",
    ] {
        assert!(find(&server, url).await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn the_operators_word_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let code = "https://claude.ai/oauth/claude-code-client-metadata";
    std::fs::write(folder.path().join("code.json"), document(code, "Ours")).unwrap();
    let own = Options { folder: Some(folder.path().into()), mode: ClientDocuments::Known, ..near() };
    let (_folder, server) = server_with(&own);
    assert_eq!(find(&server, code).await, Ok("Ours".to_owned()));
}
