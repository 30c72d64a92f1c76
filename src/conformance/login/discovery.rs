//! From a challenge to the documents of the resource (RFC 9728) and of its authorization server (RFC 8414, OpenID
//! Connect Discovery): where they may be, and what they say. No request is made here.

use hyper::Uri;
use serde_json::{Map, Value};

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// The parameters of the scheme `Bearer` in the fields `WWW-Authenticate` of an answer, names in lower case; `None`
/// where no field has that scheme (RFC 9110, 11.6.1; RFC 6750, 3).
pub fn bearer(fields: &[&str]) -> Option<Vec<(String, String)>> {
    fields.iter().find_map(|field| bearer_of(field))
}

/// The value of the parameter `name`.
pub fn parameter<'a>(challenge: &'a [(String, String)], name: &str) -> Option<&'a str> {
    challenge.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

fn bearer_of(field: &str) -> Option<Vec<(String, String)>> {
    let mut found = None::<Vec<(String, String)>>;
    for item in items(field) {
        let (scheme, rest) = match item.split_once(' ') {
            Some((word, rest)) if !word.contains('=') => (Some(word), rest.trim_start()),
            None if !item.contains('=') => (Some(item), ""),
            _ => (None, item),
        };
        match (scheme, &mut found) {
            (Some(_), Some(_)) => return found,
            (Some(scheme), None) if scheme.eq_ignore_ascii_case("bearer") => {
                found = Some(pair(rest).into_iter().collect());
            }
            (None, Some(pairs)) => pairs.extend(pair(rest)),
            _ => {}
        }
    }
    found
}

/// The parts of a field between commas that stand outside quotation marks.
fn items(field: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    field
        .split(|c| {
            let at_comma = c == ',' && !quoted;
            if c == '"' && !escaped {
                quoted = !quoted;
            }
            escaped = c == '\\' && quoted && !escaped;
            at_comma
        })
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .collect()
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let value = value.trim();
    let value = match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(quoted) => unescaped(quoted),
        None => value.to_owned(),
    };
    Some((name.trim().to_ascii_lowercase(), value))
}

fn unescaped(quoted: &str) -> String {
    let mut chars = quoted.chars();
    let mut text = String::new();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

/// Scheme and authority of `url`, and its path without the query; `None` for what is no `http` or `https` URL.
pub fn split(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?;
    Some((format!("{scheme}://{}", uri.authority()?), uri.path().to_owned()))
}

/// Where the document of the resource at `url` may be, most likely first (MCP 2025-11-25, "Protected Resource Metadata
/// Discovery Requirements"): with its path, then without.
pub fn resource_documents(url: &str) -> Vec<String> {
    let Some((origin, path)) = split(url) else { return Vec::new() };
    let mut found = Vec::new();
    if path != "/" {
        found.push(format!("{origin}{RESOURCE}{path}"));
        if let Some(path) = path.strip_suffix('/') {
            found.push(format!("{origin}{RESOURCE}{path}"));
        }
    }
    found.push(format!("{origin}{RESOURCE}"));
    found
}

/// Where the document of the authorization server `issuer` may be, in the order clients ask (MCP 2025-11-25,
/// "Authorization Server Metadata Discovery").
pub fn server_documents(issuer: &str) -> Vec<String> {
    let Some((origin, path)) = split(issuer) else { return Vec::new() };
    let path = path.trim_end_matches('/');
    let mut found = vec![format!("{origin}{OAUTH}{path}"), format!("{origin}{OPENID}{path}")];
    if !path.is_empty() {
        found.push(format!("{origin}{path}{OPENID}"));
    }
    found
}

/// A document of a resource or of an authorization server, or what stands in for one.
#[derive(Clone, Debug, Default)]
pub struct Document(Map<String, Value>);

impl Document {
    /// The document that `value` is, if it is an object with these texts.
    pub fn read(value: Value, wanted: &[&str]) -> Option<Document> {
        let Value::Object(members) = value else { return None };
        let document = Document(members);
        wanted.iter().all(|name| document.text(name).is_some()).then_some(document)
    }

    /// The endpoints that a server without a document is supposed to have (MCP 2025-03-26, "Fallbacks").
    pub fn supposed(origin: &str) -> Document {
        let at = |path: &str| Value::from(format!("{origin}{path}"));
        let members = [
            ("authorization_endpoint", at("/authorize")),
            ("token_endpoint", at("/token")),
            ("registration_endpoint", at("/register")),
        ];
        Document(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A text of it.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// The texts of a list of it; `None` where it has no such list.
    pub fn texts(&self, name: &str) -> Option<Vec<&str>> {
        Some(self.0.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
    }

    /// Whether a list of it has `value`.
    pub fn lists(&self, name: &str, value: &str) -> bool {
        self.texts(name).is_some_and(|texts| texts.contains(&value))
    }

    /// The URLs of its endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(name, _)| name.ends_with("_endpoint")).filter_map(|(_, url)| url.as_str())
    }

    /// Whether a member of it is true.
    pub fn says(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }
}

/// How the `resource` of a document fits the URL that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The same text.
    Same,
    /// The same but for a slash at the end, or a URL that this one lies below: clients differ in whether they take it.
    Near,
    /// Another resource.
    Other,
}

/// How `resource` fits `url` (RFC 9728, 3.3).
pub fn fit(resource: &str, url: &str) -> Fit {
    let bare =
        |text: &str| text.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned();
    let (resource_bare, url_bare) = (bare(resource), bare(url));
    let below =
        url_bare.strip_prefix(&resource_bare).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match () {
        () if resource == url => Fit::Same,
        () if below && split(resource).is_some() => Fit::Near,
        () => Fit::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn challenges_are_read() {
        let check = |fields: &[&str], expected: Option<&[(&str, &str)]>| {
            let found = bearer(fields);
            let expected = expected
                .map(|pairs| pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect::<Vec<_>>());
            assert_eq!(found, expected, "{fields:?}");
        };
        check(&[], None);
        check(&["Basic realm=\"x\""], None);
        check(&["Bearer"], Some(&[]));
        check(
            &["Bearer resource_metadata=\"https://a.example/.well-known/x\", scope=\"a b\""],
            Some(&[("resource_metadata", "https://a.example/.well-known/x"), ("scope", "a b")]),
        );
        check(
            &[
                "Basic realm=\"a, Bearer b\", bearer ERROR=invalid_token, error_description=\"say \\\"no\\\", please\"",
            ],
            Some(&[("error", "invalid_token"), ("error_description", "say \"no\", please")]),
        );
        check(&["Bearer a=1, Basic realm=\"x\", b=2"], Some(&[("a", "1")]));
        check(&["Negotiate", "Bearer a=1"], Some(&[("a", "1")]));
    }

    #[test]
    fn documents_are_looked_for_where_clients_look() {
        let resource = |url: &str, expected: &[&str]| {
            let after =
                |url: &String| url.split_once("oauth-protected-resource").map(|(_, rest)| rest.to_owned());
            let found: Vec<_> = resource_documents(url).iter().filter_map(after).collect();
            assert_eq!(found, expected, "{url}");
        };
        resource("https://a.example/mcp", &["/mcp", ""]);
        resource("https://a.example/mcp/", &["/mcp/", "/mcp", ""]);
        resource("https://a.example", &[""]);
        resource("https://a.example/?x=1", &[""]);
        resource("ftp://a.example/", &[]);
        let server = |issuer: &str, expected: &[&str]| assert_eq!(server_documents(issuer), expected);
        server(
            "https://a.example",
            &[
                "https://a.example/.well-known/oauth-authorization-server",
                "https://a.example/.well-known/openid-configuration",
            ],
        );
        server(
            "https://a.example:8443/tenant/",
            &[
                "https://a.example:8443/.well-known/oauth-authorization-server/tenant",
                "https://a.example:8443/.well-known/openid-configuration/tenant",
                "https://a.example:8443/tenant/.well-known/openid-configuration",
            ],
        );
    }

    #[test]
    fn a_resource_is_the_url_or_near_it() {
        let check =
            |resource: &str, url: &str, expected: Fit| assert_eq!(fit(resource, url), expected, "{resource}");
        check("https://a.example/mcp", "https://a.example/mcp", Fit::Same);
        check("https://a.example/mcp/", "https://a.example/mcp", Fit::Near);
        check("https://a.example/", "https://a.example/mcp", Fit::Near);
        check("https://a.example/mc", "https://a.example/mcp", Fit::Other);
        check("https://a.example/mcp/x", "https://a.example/mcp", Fit::Other);
        check("https://b.example/mcp", "https://a.example/mcp", Fit::Other);
        check("", "https://a.example/mcp", Fit::Other);
    }

    #[test]
    fn a_document_has_what_is_wanted() {
        assert!(Document::read(json!({"a": 1}), &["a"]).is_none());
        assert!(Document::read(json!([]), &[]).is_none());
        let document = json!({"a": "x", "list": ["a", 1, "b"], "flag": true});
        let document = Document::read(document, &["a"]).unwrap();
        assert_eq!(document.texts("list"), Some(vec!["a", "b"]));
        assert!(document.lists("list", "b") && !document.lists("none", "b"));
        assert!(document.says("flag") && !document.says("list"));
        assert_eq!(Document::supposed("http://a").text("token_endpoint"), Some("http://a/token"));
    }
}
