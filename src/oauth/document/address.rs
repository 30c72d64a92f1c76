//! Which URLs may be a client id: checked on the text as it came, before any parser gets to see it.

use super::super::redirect::{authority_of, check_text, has_dot_segment, split_port};

/// The rules of one server.
pub(super) struct Rules {
    /// The server's own name, in lower case, without port; it has no documents.
    own_host: String,
    /// Whether documents on this machine count, at any port.
    loopback: bool,
}

impl Rules {
    /// The rules for the server whose public origin has the authority `own`.
    pub(super) fn new(own: &str, loopback: bool) -> Rules {
        Rules { own_host: plain(split_port(own).0), loopback }
    }

    /// Whether `url` may be the id of a client: `https`, a named host, no port but 443, a path that is more than `/`,
    /// no user, no fragment, no dot segment (draft-ietf-oauth-client-id-metadata-document, section 3).
    ///
    /// # Errors
    /// What is wrong with it, as the end of the sentence "The client id …".
    pub(super) fn check(&self, url: &str) -> Result<(), &'static str> {
        check_text(url)?;
        let after = url.strip_prefix("https://").ok_or("does not begin with https://")?;
        let authority = authority_of(after);
        if authority.contains('@') {
            return Err("holds a user name or password");
        }
        let (host, port) = split_port(authority);
        self.check_host(host, port)?;
        let path = &after[authority.len()..];
        if !path.starts_with('/') || path.split('?').next() == Some("/") {
            return Err("has no path");
        }
        match has_dot_segment(path) {
            true => Err("has a segment . or .. in its path"),
            false => Ok(()),
        }
    }

    fn check_host(&self, host: &str, port: Option<&str>) -> Result<(), &'static str> {
        if self.loopback && is_this_machine(host) {
            return match port.is_none_or(|port| port.parse::<u16>().is_ok()) {
                true => Ok(()),
                false => Err("has no proper port"),
            };
        }
        let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        // The last label of a name never begins with a digit; that of an address, in any notation, does.
        let last = host.trim_end_matches('.').rsplit_once('.').map(|(_, last)| last);
        if !host.bytes().all(name)
            || !last.is_some_and(|last| last.starts_with(|c: char| c.is_ascii_alphabetic()))
        {
            return Err("names no host on the public internet");
        }
        if plain(host) == self.own_host {
            return Err("is on this very server");
        }
        match port {
            None | Some("443") => Ok(()),
            Some(_) => Err("has a port other than 443"),
        }
    }
}

/// Whether `host` is this machine, as it is written.
pub(super) fn is_this_machine(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(loopback: bool, url: &str, expected: &str) {
        let found = Rules::new("Chat.example.com:8443", loopback).check(url).err().unwrap_or_default();
        let fits = if expected.is_empty() { found.is_empty() } else { found.contains(expected) };
        assert!(fits, "{url}: {found:?}, not {expected:?}");
    }

    #[test]
    fn what_may_be_a_client_id() {
        for url in [
            "https://claude.ai/oauth/claude-code-client-metadata",
            "https://app.example.com:443/client.json?v=1",
            "https://APP.example.com/a%20b",
            "https://xn--bcher-kva.example/c",
        ] {
            check(false, url, "");
            check(true, url, "");
        }
    }

    #[test]
    fn what_may_not() {
        let bad = |url: &str, why: &str| check(false, url, why);
        bad("http://app.example.com/c.json", "https://");
        bad("HTTPS://app.example.com/c.json", "https://");
        bad("https://app.example.com", "no path");
        bad("https://app.example.com/", "no path");
        bad("https://app.example.com/?c", "no path");
        bad("https://app.example.com?/c", "no path");
        bad("https://app.example.com/a/../c", "segment");
        bad("https://app.example.com/%2E%2e/c", "segment");
        bad("https://app.example.com/./c", "segment");
        bad("https://app.example.com/c#f", "fragment");
        bad("https://u:p@app.example.com/c", "user name");
        bad("https://app.example.com\\@evil.example/c", "percent-encoded");
        bad("https://app.example.com/c d", "percent-encoded");
        bad("https://app.example.com/c\n", "percent-encoded");
        bad("https://app.example.com/%0", "percent sign");
        bad("https://app.example.com:8443/c", "port");
        bad("https://app.example.com:/c", "port");
        bad(&format!("https://app.example.com/{}", "x".repeat(2_048)), "2048");
        for host in
            ["127.0.0.1", "10.0.0.1", "127.1", "2130706433", "0x7f.1", "0x7f000001", "[::1]", "localhost"]
        {
            bad(&format!("https://{host}/c"), "public internet");
        }
        for host in
            ["8.8.8.8", "[2606:4700::1111]", "intranet", "a.0x7f", "1.1.1.1.", "", "a..", "%31.example.com"]
        {
            bad(&format!("https://{host}/c"), "public internet");
        }
        for host in ["chat.example.com", "CHAT.example.com.", "chat.example.com:443"] {
            bad(&format!("https://{host}/c"), "this very server");
        }
    }

    #[test]
    fn this_machine_counts_in_development_alone() {
        for url in [
            "https://localhost:8443/c",
            "https://127.0.0.1:1/c",
            "https://[::1]:65535/c",
            "https://localhost/c",
        ] {
            check(false, url, "public internet");
            check(true, url, "");
        }
        check(true, "https://localhost:70000/c", "port");
        check(true, "https://127.0.0.2/c", "public internet");
        check(true, "http://localhost/c", "https://");
    }
}
