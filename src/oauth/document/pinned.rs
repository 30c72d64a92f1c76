//! Copies of the documents of clients that everyone uses, as they were published in 2026. With them a server without a
//! way out lets these clients in, and an outage of theirs disconnects nobody. Only the exact URL counts.

use std::collections::HashMap;

use super::super::client::{AuthMethod, Client, ClientKind};

/// A copy: what of a document matters here. All are public clients that want refresh tokens.
struct Copy {
    url: &'static str,
    name: &'static str,
    redirect_uris: &'static [&'static str],
}

const COPIES: [Copy; 6] = [
    Copy {
        url: "https://claude.ai/oauth/mcp-oauth-client-metadata",
        name: "Claude",
        redirect_uris: &[
            "https://claude.ai/api/mcp/auth_callback",
            "https://claude.com/api/mcp/auth_callback",
        ],
    },
    Copy {
        url: "https://claude.ai/oauth/claude-code-client-metadata",
        name: "Claude Code",
        redirect_uris: &["http://localhost/callback", "http://127.0.0.1/callback"],
    },
    Copy {
        url: "https://vscode.dev/oauth/client-metadata.json",
        name: "Visual Studio Code",
        redirect_uris: &["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
    },
    Copy {
        url: "https://zed.dev/oauth/client-metadata.json",
        name: "Zed",
        redirect_uris: &["http://127.0.0.1/callback"],
    },
    Copy {
        url: "https://chatgpt.com/oauth/client.json",
        name: "ChatGPT",
        redirect_uris: &["https://chatgpt.com/connector_platform_oauth_redirect"],
    },
    Copy {
        url: "https://chatgpt.com/oauth/codex/client.json",
        name: "Codex",
        redirect_uris: &["http://127.0.0.1/callback", "http://localhost/callback"],
    },
];

/// The clients, by their URL.
pub(super) fn clients() -> HashMap<String, Client> {
    COPIES.iter().map(|copy| (copy.url.to_owned(), copy.client())).collect()
}

impl Copy {
    fn client(&self) -> Client {
        Client {
            id: self.url.to_owned(),
            kind: ClientKind::Document,
            name: self.name.to_owned(),
            redirect_uris: self.redirect_uris.iter().map(|uri| (*uri).to_owned()).collect(),
            auth_method: AuthMethod::None,
            secret_hash: None,
            refreshes: true,
            created_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::document::address::Rules;
    use crate::oauth::redirect;

    #[test]
    fn every_copy_keeps_the_rules_of_documents() {
        let rules = Rules::new("chat.example.com", false);
        assert_eq!(clients().len(), COPIES.len());
        for copy in &COPIES {
            assert_eq!(rules.check(copy.url), Ok(()), "{}", copy.url);
            assert!(!copy.redirect_uris.is_empty() && !copy.name.is_empty());
            for uri in copy.redirect_uris {
                assert_eq!(redirect::check(uri), Ok(()), "{uri}");
            }
        }
    }

    #[test]
    fn claude_code_comes_back_at_any_port() {
        let clients = clients();
        let code = &clients["https://claude.ai/oauth/claude-code-client-metadata"];
        assert!(code.allows_redirect("http://localhost:53682/callback"));
        assert!(code.allows_redirect("http://127.0.0.1:1/callback"));
        assert!(!code.allows_redirect("http://localhost:53682/other"));
        assert!(!code.allows_redirect("https://localhost:53682/callback"));
    }
}
