//! From a URL to tokens, noting on the way what the server does otherwise than the standards say.

use super::authorize::{Authorization, Visited};
use super::browser::Browser;
use super::discovery::{self, Document, Fit};
use super::documents;
use super::listener::{Listener, Returned};
use super::notes::Notes;
use super::registration::Identity;
use super::request::{self, Asked, Client};
use super::tokens::{self, Alive, Knock, Tokens};
use super::web::{Answer, Web, printable, without_query};
use crate::client;
use crate::error::{Error, Kind, Result};

/// What the document of an authorization server must name for a login.
const ENDPOINTS: [&str; 2] = ["authorization_endpoint", "token_endpoint"];

/// How to sign in.
#[derive(Clone)]
pub struct Options {
    /// The MCP endpoint.
    pub url: String,
    /// The client to be: an id that was registered beforehand, or the URL of a document about the client.
    pub client_id: Option<String>,
    /// The browser of the person.
    pub browser: Browser,
    /// How the servers are called.
    pub http: client::Options,
}

/// Somebody who is signed in, and all that is known of how that came.
pub struct Session {
    /// What asks.
    pub(super) web: Web,
    /// The MCP endpoint.
    pub(super) url: String,
    /// The resource to name in requests.
    pub(super) resource: Option<String>,
    /// The scope to ask for.
    pub(super) scope: Option<String>,
    /// The identifier of the authorization server.
    pub(super) issuer: String,
    /// Its document.
    pub(super) server: Document,
    /// Who we are there.
    pub(super) client: Client,
    /// How the person's consent is got.
    pub(super) authorization: Authorization,
    /// The message that the endpoint answers, once a token is taken.
    pub(super) knock: Knock,
    /// What was granted.
    pub(super) tokens: Tokens,
    /// All that was, and has to be revoked.
    pub(super) alive: Alive,
}

impl Session {
    /// The value of the field `Authorization` for requests as this person.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.tokens.access)
    }

    /// The URL of an endpoint of the authorization server.
    pub(super) fn endpoint(&self, name: &str) -> Option<&str> {
        self.server.text(name)
    }

    /// Asks the token endpoint as `client`.
    pub(super) async fn ask_as(&self, client: &Client, pairs: &[(&str, &str)]) -> Result<Answer> {
        let endpoint = self.endpoint("token_endpoint").unwrap_or_default();
        let answer = tokens::ask(&self.web, endpoint, client, pairs).await?;
        if let Some(tokens) = Tokens::read(&answer) {
            self.alive.note(&tokens);
        }
        Ok(answer)
    }

    /// Shows `token` at the MCP endpoint.
    pub(super) async fn show(&self, token: &str) -> Result<Answer> {
        self.knock.send(&self.web, &self.url, Some(token)).await
    }

    /// A request for the person's consent, as it should be.
    pub(super) fn asked(&self) -> Asked {
        let redirect_uri = self.authorization.redirect_uri();
        Asked::new(&self.client, &redirect_uri, self.resource.as_deref(), self.scope.as_deref())
    }

    /// Consent once more: a fresh code and what it was asked for with.
    ///
    /// # Errors
    /// `Unavailable` when none comes back, or one that an app must not redeem.
    pub(super) async fn code(&mut self) -> Result<(Asked, String)> {
        let (asked, returned) = self.consent().await?;
        let code = self.code_of(&asked, &returned)?;
        Ok((asked, code))
    }

    async fn consent(&mut self) -> Result<(Asked, Returned)> {
        let asked = self.asked();
        let url = asked.url(self.server.text("authorization_endpoint").unwrap_or_default());
        match self.authorization.visit(&url).await? {
            Visited::Returned(returned) => Ok((asked, returned)),
            Visited::Ended => Err(refused("no redirect")),
        }
    }

    /// The code that came, unless it may be somebody else's.
    fn code_of(&self, asked: &Asked, returned: &Returned) -> Result<String> {
        if let Some(why) = documents::foreign(returned, asked, &self.server, &self.issuer) {
            return Err(Error::new(Kind::Unavailable, format!("The browser came back wrong ({why}).")));
        }
        let code = returned.get("code").map(str::to_owned);
        code.ok_or_else(|| refused(returned.get("error").unwrap_or("no code")))
    }

    /// Consent once more, and tokens for it.
    ///
    /// # Errors
    /// `Unavailable` when they are refused.
    pub(super) async fn grant(&mut self) -> Result<Tokens> {
        let (asked, code) = self.code().await?;
        let answer = self.ask_as(&self.client, &redemption(&asked, &code, self.resource.as_deref())).await?;
        Tokens::read(&answer).ok_or_else(|| refused(&answer.shown()))
    }
}

/// The form that redeems `code`.
pub(super) fn redemption<'a>(
    asked: &'a Asked,
    code: &'a str,
    resource: Option<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &asked.redirect_uri),
        ("code_verifier", &asked.verifier),
    ];
    pairs.extend(resource.map(|resource| ("resource", resource)));
    pairs
}

fn refused(what: &str) -> Error {
    Error::new(Kind::Unavailable, format!("The authorization server refused: {}.", printable(what)))
}

/// Signs in at the MCP endpoint of `options` by `web`, which counts the requests, and notes what is seen on the way.
///
/// # Errors
/// Why nobody can be signed in: `Invalid` when an option is wrong, `Unavailable` for all else. What was noted until then
/// stands.
pub async fn sign_in(web: Web, options: Options, notes: &mut Notes) -> Result<Session> {
    let found = discover(&web, &options.url, notes).await?;
    documents::check_server(&found.server, &found.issuer, notes);
    let listener = Listener::bind().await?;
    let identity = Identity::of(&web, options.client_id, &found.server).await?;
    let redirect_uri = listener.redirect_uri(identity.redirect_path());
    let client = identity.client(&web, &redirect_uri, notes).await?;
    let authorization = Authorization::new(options.browser, listener, redirect_uri);
    let (web, url, resource, scope) = (web, options.url, found.resource, found.scope);
    let tokens = Tokens { access: String::new(), refresh: None, scope: None };
    let mut session = Session {
        web,
        url,
        resource,
        scope,
        issuer: found.issuer,
        server: found.server,
        client,
        authorization,
        knock: Knock::Legacy,
        tokens,
        alive: Alive::default(),
    };
    session.first_grant(notes).await?;
    if let Err(error) = session.enter(notes).await {
        session.end_all().await;
        return Err(error);
    }
    Ok(session)
}

/// What the documents say.
struct Found {
    resource: Option<String>,
    scope: Option<String>,
    issuer: String,
    server: Document,
}

async fn discover(web: &Web, url: &str, notes: &mut Notes) -> Result<Found> {
    let (origin, _) = discovery::split(url)
        .ok_or_else(|| Error::invalid(format!("{url:?} is no URL of an MCP server.")))?;
    let challenge = challenge(web, url, notes).await?;
    let named = challenge.as_deref().and_then(|all| discovery::parameter(all, "resource_metadata"));
    let document = resource_document(web, url, named, notes).await;
    let list = |name: &str| document.as_ref().and_then(|document| document.texts(name));
    let issuer = list("authorization_servers").and_then(|all| all.first().map(|&issuer| issuer.to_owned()));
    let issuer = issuer.unwrap_or_else(|| origin.clone());
    let server = server_document(web, &issuer, notes).await.unwrap_or_else(|| Document::supposed(&origin));
    let challenged = challenge.as_deref().and_then(|all| discovery::parameter(all, "scope"));
    let offline = server.lists("scopes_supported", "offline_access");
    let scope = request::scope(challenged, list("scopes_supported"), offline);
    let named = document.as_ref().and_then(|document| document.text("resource"));
    Ok(Found { resource: Some(resource(named, url).to_owned()), scope, issuer, server })
}

/// The resource to ask a token for: a document may spell the URL otherwise, but one that names another resource is not
/// used (RFC 9728, 3.3), for this server would then be shown a token for that one.
fn resource<'a>(named: Option<&'a str>, url: &'a str) -> &'a str {
    named.filter(|named| discovery::fit(named, url) != Fit::Other).unwrap_or(url)
}

/// What a request without a credential is answered with: the parameters of its challenge.
///
/// # Errors
/// `Invalid` when there is no need to sign in, or no MCP server there.
async fn challenge(web: &Web, url: &str, notes: &mut Notes) -> Result<Option<Vec<(String, String)>>> {
    let mut answer = Knock::Legacy.send(web, url, None).await?;
    if answer.status != 401 {
        // A server of the modern era alone may say first that it does not know the message.
        let modern = Knock::Modern.send(web, url, None).await?;
        answer = if modern.status == 401 || tokens::is_let_in(&modern) { modern } else { answer };
    }
    if tokens::is_let_in(&answer) {
        return Err(Error::invalid(format!(
            "{} answers without a credential: there is nothing to sign in to. Leave out --login.",
            without_query(url)
        )));
    }
    if !matches!(answer.status, 401 | 403) && !answer.is_json_rpc() {
        return Err(Error::invalid(format!(
            "{} is no MCP server that can be signed in to: without a credential, server/discover and initialize are \
             answered by {}, which is neither 401 nor JSON-RPC. Look at the URL.",
            without_query(url),
            answer.shown()
        )));
    }
    notes.judge("challenge-401", answer.status == 401, answer.shown());
    let fields = answer.fields("www-authenticate");
    let challenge = discovery::bearer(&fields);
    let said = match &challenge {
        Some(all) => format!("Bearer {}", all.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(", ")),
        None => format!("{} fields WWW-Authenticate, none of the scheme Bearer", fields.len()),
    };
    notes.judge("challenge-bearer", challenge.is_some(), &said);
    let named = challenge.as_deref().and_then(|all| discovery::parameter(all, "resource_metadata"));
    notes.judge("challenge-metadata", named.is_some(), said);
    Ok(challenge)
}

async fn resource_document(web: &Web, url: &str, named: Option<&str>, notes: &mut Notes) -> Option<Document> {
    let places = match named {
        Some(named) => vec![named.to_owned()],
        None => discovery::resource_documents(url),
    };
    let (mut tried, mut limit) = (Vec::new(), None);
    for place in &places {
        let answer = web.get(place, "application/json").await;
        let shown = answer.as_ref().map_or_else(|error| error.public.clone(), Answer::shown);
        limit = limit.or(answer.as_ref().err().filter(|e| e.kind == Kind::TooMany).map(|e| e.public.clone()));
        tried.push(format!("{}: {shown}", without_query(place)));
        let body = answer.ok().filter(|answer| answer.status == 200).and_then(|answer| answer.json());
        if let Some(document) = body.and_then(|body| Document::read(body, &[])) {
            notes.pass("resource-document", tried.join("; "));
            documents::check_resource(&document, url, notes);
            return Some(document);
        }
    }
    not_found("resource-document", limit, tried, notes);
    None
}

async fn server_document(web: &Web, issuer: &str, notes: &mut Notes) -> Option<Document> {
    let (mut tried, mut limit) = (Vec::new(), None);
    for place in discovery::server_documents(issuer) {
        let answer = web.get(&place, "application/json").await;
        let shown = answer.as_ref().map_or_else(|error| error.public.clone(), Answer::shown);
        limit = limit.or(answer.as_ref().err().filter(|e| e.kind == Kind::TooMany).map(|e| e.public.clone()));
        tried.push(format!("{}: {shown}", without_query(&place)));
        let body = answer.ok().filter(|answer| answer.status == 200).and_then(|answer| answer.json());
        if let Some(document) = body.and_then(|body| Document::read(body, &ENDPOINTS)) {
            notes.pass("server-document", tried.join("; "));
            return Some(document);
        }
    }
    not_found("server-document", limit, tried, notes);
    None
}

/// No place had a document: which says nothing where one was not shown for being asked for too often.
fn not_found(id: &'static str, limit: Option<String>, tried: Vec<String>, notes: &mut Notes) {
    match limit {
        Some(limit) => notes.skip(id, limit),
        None => notes.fail(id, tried.join("; ")),
    }
}

impl Session {
    /// The first consent, of which each step is noted.
    async fn first_grant(&mut self, notes: &mut Notes) -> Result<()> {
        let (asked, returned) = self.consent().await?;
        documents::check_return(&returned, &asked, &self.server, &self.issuer, notes);
        let code = self.code_of(&asked, &returned)?;
        let answer = self.ask_as(&self.client, &redemption(&asked, &code, self.resource.as_deref())).await?;
        documents::check_tokens(&answer, self.scope.as_deref(), notes);
        self.tokens = Tokens::read(&answer).ok_or_else(|| refused(&answer.shown()))?;
        Ok(())
    }

    /// Finds the message that the endpoint answers to who has a token.
    async fn enter(&mut self, notes: &mut Notes) -> Result<()> {
        let mut shown = Vec::new();
        for knock in Knock::ALL {
            let answer = knock.send(&self.web, &self.url, Some(&self.tokens.access)).await?;
            shown.push(answer.shown());
            if tokens::is_let_in(&answer) {
                self.knock = knock;
                notes.pass("token-accepted", answer.shown());
                return Ok(());
            }
        }
        notes.fail("token-accepted", shown.join("; "));
        Err(refused("the MCP endpoint does not take the token that was given for it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_this_server_alone() {
        let check = |named: Option<&str>, expected: &str| {
            assert_eq!(resource(named, "https://a.example/mcp"), expected, "{named:?}");
        };
        check(None, "https://a.example/mcp");
        check(Some("https://a.example/mcp/"), "https://a.example/mcp/");
        check(Some("https://a.example"), "https://a.example");
        check(Some("https://b.example/mcp"), "https://a.example/mcp");
        check(Some("https://a.example/other"), "https://a.example/mcp");
    }
}
