//! What the server publishes about itself: the document of the authorization server (RFC 8414) and those of the MCP
//! endpoints (RFC 9728), written once at the start.

use bytes::Bytes;
use serde_json::json;

use super::AuthMethod;

/// Where the document of the authorization server is (RFC 8414, section 3).
pub const SERVER_PATH: &str = "/.well-known/oauth-authorization-server";
/// Where the documents of the endpoints begin (RFC 9728, section 3). By itself it is where clients look that were given
/// the origin alone.
pub const RESOURCE_PATH: &str = "/.well-known/oauth-protected-resource";
/// How long they may be kept: five minutes.
pub const CACHE_CONTROL: &str = "public, max-age=300";

/// A way to write the path of an endpoint. Clients compare `resource` with the URL that a person typed, so each
/// spelling has a document of its own; a token is good for both of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `/mcp`
    Full,
    /// `/mcp/`
    FullSlash,
    /// `/mcp-readonly`
    ReadOnly,
    /// `/mcp-readonly/`
    ReadOnlySlash,
}

impl Spelling {
    /// Every spelling.
    pub const ALL: [Spelling; 4] =
        [Spelling::Full, Spelling::FullSlash, Spelling::ReadOnly, Spelling::ReadOnlySlash];

    /// The path.
    pub fn path(self) -> &'static str {
        match self {
            Spelling::Full => "/mcp",
            Spelling::FullSlash => "/mcp/",
            Spelling::ReadOnly => "/mcp-readonly",
            Spelling::ReadOnlySlash => "/mcp-readonly/",
        }
    }

    /// The spelling that `path` is.
    pub fn of(path: &str) -> Option<Spelling> {
        Spelling::ALL.into_iter().find(|spelling| spelling.path() == path)
    }

    /// The scopes that mean anything there.
    pub fn scopes(self) -> &'static [&'static str] {
        match self {
            Spelling::Full | Spelling::FullSlash => &["mcp:read", "mcp:write"],
            Spelling::ReadOnly | Spelling::ReadOnlySlash => &["mcp:read"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Spelling::Full | Spelling::FullSlash => "Chaterimo (read and change)",
            Spelling::ReadOnly | Spelling::ReadOnlySlash => "Chaterimo (read only)",
        }
    }
}

/// The documents, as they are sent.
pub struct Metadata {
    server: Bytes,
    resources: [Bytes; 4],
}

impl Metadata {
    /// The documents of the server that calls itself `issuer`, with or without registration and client documents.
    pub fn new(issuer: &str, registration: bool, client_documents: bool) -> Metadata {
        Metadata {
            server: server(issuer, registration, client_documents),
            resources: Spelling::ALL.map(|spelling| resource(issuer, spelling)),
        }
    }

    /// The document of the authorization server.
    pub fn server(&self) -> Bytes {
        self.server.clone()
    }

    /// The document of an endpoint. At [`RESOURCE_PATH`] alone, that of [`Spelling::Full`].
    pub fn resource(&self, spelling: Spelling) -> Bytes {
        self.resources[spelling as usize].clone()
    }
}

fn server(issuer: &str, registration: bool, client_documents: bool) -> Bytes {
    let at = |path: &str| format!("{issuer}{path}");
    let methods = AuthMethod::ALL.map(AuthMethod::as_str);
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "revocation_endpoint": at("/revoke"),
        "scopes_supported": ["mcp:read", "mcp:write", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": client_documents,
        "protected_resources": Spelling::ALL.map(|spelling| at(spelling.path())),
    });
    if registration {
        document["registration_endpoint"] = at("/register").into();
    }
    document.to_string().into()
}

fn resource(issuer: &str, spelling: Spelling) -> Bytes {
    let document = json!({
        "resource": format!("{issuer}{}", spelling.path()),
        "authorization_servers": [issuer],
        "scopes_supported": spelling.scopes(),
        "bearer_methods_supported": ["header"],
        "resource_name": spelling.name(),
    });
    document.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const ISSUER: &str = "https://chat.example.com";

    #[test]
    fn each_spelling_names_itself() {
        let metadata = Metadata::new(ISSUER, true, true);
        let check = |path: &str, scopes: &[&str]| {
            let spelling = Spelling::of(path).expect(path);
            let document: Value = serde_json::from_slice(&metadata.resource(spelling)).unwrap();
            assert_eq!(document["resource"], format!("{ISSUER}{path}"));
            assert_eq!(document["scopes_supported"], json!(scopes));
            assert_eq!(document["authorization_servers"], json!([ISSUER]));
        };
        check("/mcp", &["mcp:read", "mcp:write"]);
        check("/mcp/", &["mcp:read", "mcp:write"]);
        check("/mcp-readonly", &["mcp:read"]);
        check("/mcp-readonly/", &["mcp:read"]);
        assert_eq!(Spelling::of("/MCP"), None);
    }

    #[test]
    fn the_server_offers_what_is_switched_on() {
        let check = |registration: bool, documents: bool| {
            let document: Value =
                serde_json::from_slice(&Metadata::new(ISSUER, registration, documents).server()).unwrap();
            assert_eq!(document["issuer"], ISSUER);
            assert_eq!(document["client_id_metadata_document_supported"], documents);
            assert_eq!(document.get("registration_endpoint").is_some(), registration);
            assert_eq!(document["token_endpoint_auth_methods_supported"][0], "none");
            assert!(document.as_object().unwrap().values().all(|value| !value.is_null()));
        };
        check(true, true);
        check(false, false);
    }
}
