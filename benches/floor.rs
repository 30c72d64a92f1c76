//! The floor: what hyper, JSON and SQLite cost for the same answers, and nothing else. It checks no credential, counts
//! no quota, writes no log and knows one query; it is not an MCP server. `benches/run.py` sets `chaterimo` against it.
//!
//! `floor serve DIR` listens on a free port of 127.0.0.1 and prints `{"url":…}` as its first line; `floor stdio DIR`
//! answers lines of its standard input. Both make their database in DIR unless it is there.

use std::cell::RefCell;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, body::Incoming, header};
use hyper_util::rt::TokioIo;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "usage: floor serve DIR | floor stdio DIR (benches/run.py runs both)";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", dir] => serve(Floor::open(dir)?),
        ["stdio", dir] => stdio(&Floor::open(dir)?),
        // `cargo bench` and `cargo test --benches` run every target so.
        [] | [.., "--bench"] => Ok(writeln!(std::io::stdout(), "{USAGE}")?),
        _ => Err(USAGE.into()),
    }
}

/// What every answer is made from: the path of the database, and `tools/list` as bytes.
struct Floor {
    database: PathBuf,
    tools: String,
}

impl Floor {
    fn open(dir: impl AsRef<Path>) -> Result<Floor> {
        let database = dir.as_ref().join("floor.db");
        if !database.exists() {
            create_database(&database)?;
        }
        Ok(Floor { database, tools: serde_json::to_string(&tools())? })
    }
}

fn stdio(floor: &Floor) -> Result<()> {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let mut answer = floor.answer(line?.as_bytes())?;
        if !answer.is_empty() {
            answer.push(b'\n');
            output.write_all(&answer)?;
            output.flush()?;
        }
    }
    Ok(())
}

fn serve(floor: Floor) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout(), "{}", json!({"url": format!("http://{}/mcp", listener.local_addr()?)}))?;
        let floor = Arc::new(floor);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(connection(floor.clone(), stream));
        }
    })
}

/// A connection that fails ends; whoever measures sees it end.
async fn connection(floor: Arc<Floor>, stream: TcpStream) {
    let service = service_fn(move |request| respond(floor.clone(), request));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(floor: Arc<Floor>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let answer = floor.answer(&body)?;
    let status = if answer.is_empty() { StatusCode::ACCEPTED } else { StatusCode::OK };
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    Ok(response.body(Full::new(answer.into()))?)
}

#[derive(Deserialize)]
struct Rpc<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallResult<'a> {
    result_type: &'static str,
    content: [Text<'a>; 1],
    structured_content: &'a RawValue,
    is_error: bool,
}

#[derive(Serialize)]
struct Text<'a> {
    r#type: &'static str,
    text: &'a str,
}

const DISCOVERED: &[u8] = br#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"floor","version":"0"}}}"#;

impl Floor {
    /// The answer to one JSON-RPC message; empty for a notification.
    fn answer(&self, body: &[u8]) -> Result<Vec<u8>> {
        let rpc: Rpc = serde_json::from_slice(body)?;
        let Some(id) = rpc.id else { return Ok(Vec::new()) };
        let mut out = Vec::with_capacity(6144);
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(id.get().as_bytes());
        out.extend_from_slice(b",\"result\":");
        match rpc.method {
            "tools/call" => self.call(rpc.params, &mut out)?,
            "tools/list" => {
                out.extend_from_slice(b"{\"resultType\":\"complete\",\"tools\":");
                out.extend_from_slice(self.tools.as_bytes());
                out.push(b'}');
            }
            "server/discover" => out.extend_from_slice(DISCOVERED),
            other => return Err(format!("the floor has no method {other}").into()),
        }
        out.push(b'}');
        Ok(out)
    }

    /// Writes the result of `list_chatbots`: the rows as structured content, and the same JSON as text.
    fn call(&self, params: Option<&RawValue>, out: &mut Vec<u8>) -> Result<()> {
        let call: Call = serde_json::from_str(params.ok_or("params are missing")?.get())?;
        if call.name != "list_chatbots" {
            return Err(format!("the floor has no tool {}", call.name).into());
        }
        let rows = serde_json::to_string(&self.chatbots("org-007")?)?;
        let result = CallResult {
            result_type: "complete",
            content: [Text { r#type: "text", text: &rows }],
            structured_content: serde_json::from_str(&rows)?,
            is_error: false,
        };
        Ok(serde_json::to_writer(out, &result)?)
    }

    /// Reads the rows on a connection and a statement that each thread keeps.
    fn chatbots(&self, organisation: &str) -> Result<Chatbots> {
        CONNECTION.with_borrow_mut(|slot| {
            let connection = match slot {
                Some(connection) => connection,
                None => slot.insert(connect(&self.database)?),
            };
            let mut statement = connection.prepare_cached(QUERY)?;
            let rows = statement.query_map([organisation], chatbot)?.collect::<rusqlite::Result<_>>()?;
            Ok(Chatbots { chatbots: rows })
        })
    }
}

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

const QUERY: &str = "SELECT id, name, model, is_primary, created_at FROM chatbots WHERE org_id = ?1 ORDER BY created_at LIMIT 20";

#[derive(Serialize)]
struct Chatbots {
    chatbots: Vec<Chatbot>,
}

#[derive(Serialize)]
struct Chatbot {
    id: String,
    name: String,
    model: String,
    is_primary: bool,
    created_at: String,
}

fn chatbot(row: &rusqlite::Row<'_>) -> rusqlite::Result<Chatbot> {
    Ok(Chatbot {
        id: row.get(0)?,
        name: row.get(1)?,
        model: row.get(2)?,
        is_primary: row.get(3)?,
        created_at: row.get(4)?,
    })
}

fn connect(database: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(database, flags)?)
}

/// Fifty organisations of 20 chatbots each.
fn create_database(path: &Path) -> Result<()> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(
        "CREATE TABLE chatbots(id TEXT PRIMARY KEY, org_id TEXT NOT NULL, name TEXT NOT NULL, model TEXT NOT NULL,
            is_primary INTEGER NOT NULL, created_at TEXT NOT NULL);
         CREATE INDEX chatbots_org ON chatbots(org_id, created_at);",
    )?;
    for n in 0..1_000_u64 {
        let (organisation, bot) = (n / 20, n % 20);
        transaction.execute(
            "INSERT INTO chatbots VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                uuid(n),
                format!("org-{organisation:03}"),
                format!("Bot {bot:02}"),
                ["fast", "balanced", "deep"][n as usize % 3],
                bot == 0,
                format!("2026-{:02}-{:02}T09:{bot:02}:00Z", 1 + bot % 9, 1 + bot),
            ),
        )?;
    }
    Ok(transaction.commit()?)
}

/// The same random-looking UUID for the same `n` (two steps of splitmix64), so that the index is as scattered as a real one.
fn uuid(n: u64) -> String {
    let mix = |x: u64| {
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let high = mix((2 * n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let low = mix((2 * n + 2).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
    format!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
}

/// Nineteen tool definitions of the size of real ones, about 12 KB in all.
fn tools() -> Value {
    (0..19).map(tool).collect()
}

fn tool(n: usize) -> Value {
    let name = if n == 0 { "list_chatbots".to_owned() } else { format!("list_things_{n:02}") };
    json!({
        "name": name,
        "title": "List things",
        "description": "Lists the things of the caller's organisation, newest first, with optional filters of date and text.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "thing_id": {"type": "integer", "description": "Which thing; list_things names them.", "minimum": 1},
                "query": {"type": "string", "description": "Only things that hold these words.", "maxLength": 200},
                "limit": {"type": "integer", "description": "Page size.", "minimum": 1, "maximum": 100, "default": 20}
            },
            "required": [],
            "additionalProperties": false
        },
        "annotations": {"readOnlyHint": true}
    })
}
