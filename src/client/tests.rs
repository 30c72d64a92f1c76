use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::testing::{acceptor, serve, streamed, whole};
use super::*;

fn client() -> Client {
    Client::new(Options::default()).unwrap()
}

fn quick(head_ms: u64) -> Client {
    Client::new(Options { head: Duration::from_millis(head_ms), ..Options::default() }).unwrap()
}

fn request(method: &str, url: &str) -> Request<Bytes> {
    Request::builder().method(method).uri(url).body(Bytes::from_static(b"ping")).unwrap()
}

async fn text(client: &Client, request: Request<Bytes>) -> Result<String> {
    let body = client.send(request).await?.into_body().collect(1_000).await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// A listener that reads one request a connection and answers with `answers[n]` on the n-th, then hangs up. The number
/// of connections counts up in what is returned.
async fn scripted(answers: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            for part in answer.split('|') {
                read_ping(&mut stream).await;
                stream.write_all(part.as_bytes()).await.unwrap();
            }
        }
    });
    (url, count)
}

/// Reads up to the end of one request of [`request`], or of the connection.
async fn read_ping(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"ping") && stream.read_buf(&mut seen).await.unwrap() > 0 {}
}

const KEPT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn sends_host_target_and_body_and_keeps_the_connection() {
    let url = serve(|request| async move {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        let seen = format!("{} {} {} {:?}", request.method(), request.uri(), host, request.body());
        whole(200, "text/plain", seen)
    })
    .await;
    let client = client();
    let host = url.strip_prefix("http://").unwrap();
    let answer = text(&client, request("POST", &format!("{url}/a/?b=c"))).await.unwrap();
    assert_eq!(answer, format!("POST /a/?b=c {host} b\"ping\""));
    let answer = text(&client, request("PUT", &url)).await.unwrap();
    assert_eq!(answer, format!("PUT / {host} b\"ping\""));
}

#[tokio::test]
async fn reads_two_answers_from_one_connection() {
    let (url, count) =
        scripted(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok|HTTP/1.1 204 No\r\n\r\n"]).await;
    let client = client();
    assert_eq!(text(&client, request("POST", &url)).await.unwrap(), "ok");
    assert_eq!(text(&client, request("POST", &url)).await.unwrap(), "");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stale_connection_is_replaced_once() {
    let (url, count) = scripted(&[KEPT, KEPT, ""]).await;
    let client = client();
    assert_eq!(text(&client, request("GET", &url)).await.unwrap(), "ok");
    assert_eq!(text(&client, request("GET", &url)).await.unwrap(), "ok");
    assert_eq!(count.load(Ordering::SeqCst), 2);
    let error = text(&client, request("POST", &url)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
}

#[tokio::test]
async fn follows_no_redirect() {
    let (url, _) = scripted(&["HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"]).await;
    assert_eq!(client().send(request("POST", &url)).await.unwrap().status(), 307);
}

#[tokio::test]
async fn reads_no_more_than_the_limit() {
    let url = serve(|_| async { whole(200, "text/plain", vec![b'x'; 1_001]) }).await;
    assert_eq!(text(&client(), request("GET", &url)).await.unwrap_err().kind, Kind::TooLarge);
}

#[tokio::test]
async fn gives_up_on_a_silent_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let error = text(&quick(20), request("GET", &url)).await.unwrap_err();
    assert!(error.public.ends_with("did not answer within 0.02 s."), "{error}");
}

#[tokio::test]
async fn gives_up_on_a_body_that_stops() {
    let (url, _) = scripted(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok|"]).await;
    let error = text(&quick(3_000), request("GET", &url)).await.unwrap_err();
    assert!(error.public.starts_with("The answer stopped"), "{error}");
}

#[tokio::test]
async fn refuses_a_head_without_end() {
    let url = serve(|_| async {
        let mut answer = whole(200, "text/plain", "");
        answer.headers_mut().insert("x-long", "x".repeat(200_000).parse().unwrap());
        answer
    })
    .await;
    assert_eq!(text(&client(), request("GET", &url)).await.unwrap_err().kind, Kind::Unavailable);
}

#[tokio::test]
async fn says_why_a_server_cannot_be_reached() {
    // Bound, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let origin = format!("http://{}", socket.local_addr().unwrap());
    let error = text(&client(), request("POST", &origin)).await.unwrap_err();
    assert_eq!(error.public, format!("{origin} cannot be reached: connection refused."));
    let patient = Options { connect: Duration::from_secs(60), ..Options::default() }; // Some resolvers are slow to say no.
    let patient = Client::new(patient).unwrap();
    let error = text(&patient, request("POST", "http://nowhere.invalid/")).await.unwrap_err();
    assert_eq!(error.public, "http://nowhere.invalid:80 cannot be reached: its name has no address.");
}

#[tokio::test]
async fn streams_chunk_by_chunk_and_hangs_up_when_dropped() {
    let (sender, answer) = streamed("text/event-stream");
    let answer = std::sync::Mutex::new(Some(answer));
    let url = serve(move |_| {
        let answer = answer.lock().unwrap().take().unwrap();
        async move { answer }
    })
    .await;
    let mut body = client().send(request("GET", &url)).await.unwrap().into_body();
    for piece in ["one", "two"] {
        sender.send(piece.into()).unwrap();
        assert_eq!(body.next_chunk().await.unwrap().unwrap(), piece);
    }
    drop(body);
    tokio::time::timeout(Duration::from_secs(60), sender.closed())
        .await
        .expect("the server sees the client leave");
}

#[tokio::test]
async fn the_guard_refuses_before_it_dials() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let guarded = Client::new(Options { public_only: true, ..Options::default() }).unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "8.8.8.8"] {
        let error = text(&guarded, request("GET", &format!("http://{host}:{port}/"))).await.unwrap_err();
        assert_eq!(error.kind, Kind::Forbidden, "{host}");
    }
    let accepted = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(accepted.is_err(), "nothing was dialled");
}

/// A TLS server with the certificate of `tests/tls` that answers one request a connection.
async fn serve_tls() -> u16 {
    let acceptor = acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                read_ping(&mut stream).await;
                stream.write_all(KEPT.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        }
    });
    port
}

#[tokio::test]
async fn trusts_the_named_authority_and_no_stranger() {
    let url = format!("https://localhost:{}/", serve_tls().await);
    let named = Options { ca_file: Some("tests/tls/ca.pem".into()), ..Options::default() };
    assert_eq!(text(&Client::new(named).unwrap(), request("POST", &url)).await.unwrap(), "ok");
    let error = text(&client(), request("POST", &url)).await.unwrap_err();
    assert!(error.public.contains("UnknownIssuer") || error.kind == Kind::Config, "{error}");
}

#[test]
fn a_wrong_ca_file_is_told_at_once() {
    let check = |file: &str, expected: &str| {
        let error = Client::new(Options { ca_file: Some(file.into()), ..Options::default() }).err().unwrap();
        assert_eq!((error.kind, error.public.as_str()), (Kind::Config, expected));
    };
    check("tests/tls/none.pem", "The CA file tests/tls/none.pem cannot be read as PEM certificates.");
    check("Cargo.toml", "The CA file Cargo.toml holds no certificate.");
}
