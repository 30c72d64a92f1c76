//! What a token is for: one of the two endpoints (RFC 8707), and what may be done there.

use super::Fault;
use crate::access::Endpoint;

/// To read.
pub const READ: &str = "mcp:read";
/// To change things; whoever may do that may read.
pub const WRITE: &str = "mcp:write";

/// What `resource` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One endpoint, in either spelling.
    One(Endpoint),
    /// The server as a whole, or nothing: some clients name its origin, some are older than the parameter.
    Any,
}

/// What the `resource` parameters of a request name, however it is spelt.
///
/// # Errors
/// `invalid_target` when one names nothing of this server, or two name different things.
pub fn target<'r>(issuer: &str, resources: impl Iterator<Item = &'r str>) -> Result<Target, Fault> {
    let mut found = None;
    for resource in resources {
        let named = canonical(issuer, resource).ok_or_else(|| {
            Fault::new("invalid_target", "resource names nothing here; use the URL of the MCP endpoint.")
        })?;
        if found.is_some_and(|before| before != named) {
            return Err(Fault::new("invalid_target", "A token is for one resource; ask for each by itself."));
        }
        found = Some(named);
    }
    Ok(found.unwrap_or(Target::Any))
}

/// The letter case of scheme and host, a default port, a slash at the end and a query make no difference.
fn canonical(issuer: &str, resource: &str) -> Option<Target> {
    if resource.contains('#') || !resource.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let (own, _) = split(issuer)?;
    let (origin, path) = split(resource)?;
    let path = path.split('?').next().unwrap_or_default();
    if origin != own {
        return None;
    }
    match path.strip_suffix('/').unwrap_or(path) {
        "" => Some(Target::Any),
        "/mcp" => Some(Target::One(Endpoint::Full)),
        "/mcp-readonly" => Some(Target::One(Endpoint::ReadOnly)),
        _ => None,
    }
}

/// The origin in its one spelling, and what follows it.
fn split(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
    Some((format!("{scheme}://{authority}"), path))
}

/// The scopes of a request that we know; the others are left out, for clients send their own (OAuth 2.1, section 3.2.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// `mcp:read` stands there.
    pub read: bool,
    /// `mcp:write` stands there.
    pub write: bool,
}

impl Scopes {
    /// Those in the value of `scope`.
    pub fn parse(scope: Option<&str>) -> Scopes {
        let has = |name| scope.unwrap_or_default().split(' ').any(|one| one == name);
        Scopes { read: has(READ), write: has(WRITE) }
    }
}

/// The value of `scope` for what was granted.
pub fn scope_text(write: bool) -> &'static str {
    if write { "mcp:read mcp:write" } else { READ }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://chat.example.com";

    #[test]
    fn spellings_of_a_resource() {
        let check = |resources: &[&str], expected: Option<Target>| {
            let found = target(ISSUER, resources.iter().copied());
            assert_eq!(found.as_ref().ok(), expected.as_ref(), "{resources:?}");
            assert!(found.is_ok() || found.is_err_and(|fault| fault.code == "invalid_target"));
        };
        let (full, read_only) = (Some(Target::One(Endpoint::Full)), Some(Target::One(Endpoint::ReadOnly)));
        check(&[], Some(Target::Any));
        check(&["https://chat.example.com"], Some(Target::Any));
        check(&["https://chat.example.com/"], Some(Target::Any));
        check(&["https://chat.example.com/mcp"], full);
        check(&["https://chat.example.com/mcp/"], full);
        check(&["HTTPS://Chat.Example.COM:443/mcp"], full);
        check(&["https://chat.example.com/mcp/?utm_source=x"], full);
        check(&["https://chat.example.com?x=/mcp"], Some(Target::Any));
        check(&["https://chat.example.com/mcp-readonly"], read_only);
        check(&["https://chat.example.com/mcp-readonly/"], read_only);
        check(&["https://chat.example.com/mcp", "https://chat.example.com/mcp/"], full);
        check(&["https://chat.example.com/mcp", "https://chat.example.com/mcp-readonly"], None);
        check(&["https://chat.example.com/mcp", "https://chat.example.com"], None);
        check(&["https://chat.example.com/mcp#x"], None);
        check(&["https://chat.example.com/MCP"], None);
        check(&["https://chat.example.com/mcp//"], None);
        check(&["https://chat.example.com/mcp/t/x"], None);
        check(&["https://chat.example.com/./mcp"], None);
        check(&["http://chat.example.com/mcp"], None);
        check(&["https://chat.example.com:8443/mcp"], None);
        check(&["https://chat.example.com.evil.example/mcp"], None);
        check(&["https://anna@chat.example.com/mcp"], None);
        check(&["/mcp"], None);
        check(&["https://chat.example.com/mcp x"], None);
    }

    #[test]
    fn scopes_that_we_know() {
        let check = |scope: Option<&str>, read: bool, write: bool| {
            assert_eq!(Scopes::parse(scope), Scopes { read, write }, "{scope:?}");
        };
        check(None, false, false);
        check(Some(""), false, false);
        check(Some("claudeai"), false, false);
        check(Some("mcp:read claudeai offline_access"), true, false);
        check(Some("mcp:write"), false, true);
        check(Some("mcp:write mcp:read mcp:read"), true, true);
        check(Some("mcp:writer MCP:READ"), false, false);
    }
}
