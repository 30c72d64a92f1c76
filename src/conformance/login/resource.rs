//! Attacks on the MCP endpoint: what it takes for a token, and how it says no.

use hyper::Request;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};

use super::discovery;
use super::notes::Notes;
use super::sign_in::Session;
use super::tokens::{Knock, Tokens, end_session, is_let_in};
use super::web::{Answer, printable, without_query};
use crate::error::Result;
use crate::peer::meta;

/// Shows the endpoint what it must not take.
pub async fn attack(session: &mut Session, notes: &mut Notes) {
    refuses(session, "token-invalid", "no-token-of-this-server", notes).await;
    match session.tokens.refresh.clone() {
        Some(refresh) => refuses(session, "token-refresh-as-access", &refresh, notes).await,
        None => notes.skip("token-refresh-as-access", "no refresh token was given"),
    }
    match in_query(session).await {
        Ok(answer) => notes.judge("token-in-query", !is_let_in(&answer), answer.shown()),
        Err(error) => notes.skip("token-in-query", error.public),
    }
    elsewhere(session, notes).await;
    scopes(session, notes).await;
}

/// Notes whether the endpoint refuses `token` as it should: with 401 and a challenge.
async fn refuses(session: &Session, id: &'static str, token: &str, notes: &mut Notes) {
    let answer = match session.show(token).await {
        Ok(answer) => answer,
        Err(error) => return notes.skip(id, error.public),
    };
    notes.judge(id, answer.status == 401, answer.shown());
    if id == "token-invalid" && answer.status == 401 {
        let challenge = discovery::bearer(&answer.fields("www-authenticate")).unwrap_or_default();
        let error = discovery::parameter(&challenge, "error");
        let seen = format!("error in WWW-Authenticate: {}", error.map_or("none".to_owned(), printable));
        notes.judge("token-invalid-error", error == Some("invalid_token"), seen);
    }
}

/// The token in the URL alone.
async fn in_query(session: &Session) -> Result<Answer> {
    let token: String = form_urlencoded::byte_serialize(session.tokens.access.as_bytes()).collect();
    let join = if session.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{join}access_token={token}", session.url);
    session.knock.send(&session.web, &url, None).await
}

/// The token at the other endpoints that the authorization server names, as far as they are on this site: a token is
/// not carried to strangers.
async fn elsewhere(session: &Session, notes: &mut Notes) {
    let (own, _) = discovery::split(&session.url).unwrap_or_default();
    let bare = |url: &str| url.trim_end_matches('/').to_owned();
    let mine = [Some(&session.url), session.resource.as_ref()].map(|url| url.map(|url| bare(url)));
    let listed = session.server.texts("protected_resources").unwrap_or_default();
    let issuer = discovery::split(&session.issuer).map(|(origin, _)| origin);
    let mut others: Vec<String> = listed
        .into_iter()
        .filter(|url| !mine.contains(&Some(bare(url))))
        .filter_map(|url| {
            let (origin, path) = discovery::split(url)?;
            (origin == own || Some(&origin) == issuer.as_ref())
                .then(|| format!("{own}{}", path.trim_end_matches('/')))
        })
        .collect();
    others.dedup();
    if others.is_empty() {
        return notes.skip("token-audience", "the server publishes no second resource (protected_resources)");
    }
    for other in others {
        for url in [other.clone(), format!("{other}/")] {
            match session.knock.send(&session.web, &url, Some(&session.tokens.access)).await {
                Ok(answer) => {
                    let seen = format!("{}: {}", without_query(&url), answer.shown());
                    notes.judge("token-audience", !is_let_in(&answer), seen);
                }
                Err(error) => notes.skip("token-audience", error.public),
            }
        }
    }
}

/// A token of less scope at a tool that changes things. The call lacks the arguments that the tool requires, so nothing
/// is changed wherever it gets to.
async fn scopes(session: &mut Session, notes: &mut Notes) {
    const ID: &str = "scope-challenge";
    let granted = session.tokens.scope.clone().or_else(|| session.scope.clone()).unwrap_or_default();
    let mut scopes = granted.split(' ').filter(|scope| !scope.is_empty() && *scope != "offline_access");
    let (Some(first), Some(_)) = (scopes.next(), scopes.next()) else {
        return notes.skip(ID, "what was granted is no more than one scope");
    };
    let narrow = match narrowed(session, first).await {
        Ok(Some(narrow)) => narrow,
        Ok(None) => return notes.skip(ID, "no token of less scope is given out for the refresh token"),
        Err(error) => return notes.skip(ID, error.public),
    };
    let tool = match tool(session).await {
        Ok(Some(tool)) => tool,
        Ok(None) => {
            return notes.skip(ID, "no tool that changes something and requires an argument is listed");
        }
        Err(error) => return notes.skip(ID, error.public),
    };
    match call(session, &narrow, &tool).await {
        Ok(answer) if answer.status == 403 => {
            let challenge = discovery::bearer(&answer.fields("www-authenticate")).unwrap_or_default();
            let get = |name| discovery::parameter(&challenge, name);
            let whole = get("error") == Some("insufficient_scope") && get("scope").is_some();
            let names = challenge.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(", ");
            let error = printable(get("error").unwrap_or("none"));
            notes.judge(ID, whole, format!("403, error {error}, with {}", printable(&names)));
        }
        Ok(answer) => notes.skip(
            ID,
            format!(
                "{tool} called with {} alone is not refused for its scope: {}",
                printable(first),
                answer.shown()
            ),
        ),
        Err(error) => notes.skip(ID, error.public),
    }
}

/// An access token for `scope` alone, which the refresh token is exchanged for; the session has its successor.
async fn narrowed(session: &mut Session, scope: &str) -> Result<Option<String>> {
    let Some(refresh) = session.tokens.refresh.clone() else { return Ok(None) };
    let mut pairs = vec![("grant_type", "refresh_token"), ("refresh_token", &*refresh), ("scope", scope)];
    let resource = session.resource.clone();
    pairs.extend(resource.as_deref().map(|resource| ("resource", resource)));
    let answer = session.ask_as(&session.client, &pairs).await?;
    let Some(tokens) = Tokens::read(&answer) else { return Ok(None) };
    session.tokens.refresh = tokens.refresh.or(Some(refresh));
    Ok((tokens.scope.as_deref() == Some(scope)).then_some(tokens.access))
}

/// The first tool that says it changes something and requires an argument.
async fn tool(session: &Session) -> Result<Option<String>> {
    let answer = send(session, &session.tokens.access, "tools/list", json!({})).await?;
    let body = answer.json().unwrap_or_default();
    let tools = body["result"]["tools"].as_array().cloned().unwrap_or_default();
    let writes = |tool: &&Value| {
        tool["annotations"]["readOnlyHint"] == json!(false)
            && tool["inputSchema"]["required"].as_array().is_some_and(|required| !required.is_empty())
    };
    Ok(tools.iter().find(writes).and_then(|tool| tool["name"].as_str()).map(str::to_owned))
}

async fn call(session: &Session, token: &str, tool: &str) -> Result<Answer> {
    send(session, token, "tools/call", json!({"name": tool, "arguments": {}})).await
}

/// One request in the era that the endpoint answers in; in the legacy one, in a session that is opened for it.
async fn send(session: &Session, token: &str, method: &str, mut params: Value) -> Result<Answer> {
    let authorization = format!("Bearer {token}");
    let mut request = Request::post(&session.url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .header("authorization", &authorization);
    let mut opened = None;
    match session.knock {
        Knock::Modern => {
            params["_meta"] = meta("2026-07-28", &json!({})).into();
            request = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", method);
            if let Some(name) = params["name"].as_str() {
                request = request.header("mcp-name", &*crate::protocol::framing::encode(name));
            }
        }
        Knock::Legacy => {
            let answer = session.knock.open(&session.web, &session.url, Some(token)).await?;
            request = request.header("mcp-protocol-version", "2025-11-25");
            if let Some(id) = answer.field("mcp-session-id") {
                request = request.header("mcp-session-id", id);
            }
            opened = Some(answer);
        }
    }
    let body = json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params});
    let answer = session.web.send(request.body(body.to_string().into())).await;
    if let Some(opened) = opened {
        end_session(&session.web, &session.url, Some(token), &opened).await;
    }
    answer
}
