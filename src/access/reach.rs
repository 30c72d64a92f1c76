//! How far a request reaches: any sign of read-only wins, and nothing widens.

use serde::{Deserialize, Serialize};

/// Which of the two endpoints was called; stdio counts as the full one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    /// `/mcp` and `/mcp/`.
    Full,
    /// `/mcp-readonly` and `/mcp-readonly/`.
    ReadOnly,
}

impl Endpoint {
    /// Its name in the log and in session ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Endpoint::Full => "full",
            Endpoint::ReadOnly => "readonly",
        }
    }

    /// The endpoint of that name.
    pub fn parse(name: &str) -> Option<Endpoint> {
        [Endpoint::Full, Endpoint::ReadOnly].into_iter().find(|endpoint| endpoint.as_str() == name)
    }
}

/// Every sign of read-only that a request can carry.
#[derive(Clone, Copy, Debug)]
pub struct Signals {
    /// The endpoint that was called.
    pub endpoint: Endpoint,
    /// The credential can only read.
    pub credential_read_only: bool,
    /// The header `X-MCP-Readonly: true` was sent.
    pub header_read_only: bool,
    /// The operator's switch `read_only` is on.
    pub server_read_only: bool,
}

/// What a request reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every tool.
    Full,
    /// The full endpoint, but only tools that read; a write tool is refused and told why.
    ReadOnlyGrant,
    /// The read-only endpoint: write tools are not there at all.
    ReadOnlyEndpoint,
}

/// What a request with these signs reaches.
pub fn reach(signals: Signals) -> Reach {
    match signals.endpoint {
        Endpoint::ReadOnly => Reach::ReadOnlyEndpoint,
        Endpoint::Full
            if signals.credential_read_only || signals.header_read_only || signals.server_read_only =>
        {
            Reach::ReadOnlyGrant
        }
        Endpoint::Full => Reach::Full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Endpoint, credential, header, server; what it reaches.
    const TABLE: [(Endpoint, bool, bool, bool, Reach); 16] = [
        (Endpoint::Full, false, false, false, Reach::Full),
        (Endpoint::Full, false, false, true, Reach::ReadOnlyGrant),
        (Endpoint::Full, false, true, false, Reach::ReadOnlyGrant),
        (Endpoint::Full, false, true, true, Reach::ReadOnlyGrant),
        (Endpoint::Full, true, false, false, Reach::ReadOnlyGrant),
        (Endpoint::Full, true, false, true, Reach::ReadOnlyGrant),
        (Endpoint::Full, true, true, false, Reach::ReadOnlyGrant),
        (Endpoint::Full, true, true, true, Reach::ReadOnlyGrant),
        (Endpoint::ReadOnly, false, false, false, Reach::ReadOnlyEndpoint),
        (Endpoint::ReadOnly, false, false, true, Reach::ReadOnlyEndpoint),
        (Endpoint::ReadOnly, false, true, false, Reach::ReadOnlyEndpoint),
        (Endpoint::ReadOnly, false, true, true, Reach::ReadOnlyEndpoint),
        (Endpoint::ReadOnly, true, false, false, Reach::ReadOnlyEndpoint),
        (Endpoint::ReadOnly, true, false, true, Reach::ReadOnlyEndpoint),
        (Endpoint::ReadOnly, true, true, false, Reach::ReadOnlyEndpoint),
        (Endpoint::ReadOnly, true, true, true, Reach::ReadOnlyEndpoint),
    ];

    #[test]
    fn any_sign_of_read_only_wins() {
        for (endpoint, credential_read_only, header_read_only, server_read_only, expected) in TABLE {
            let signals = Signals { endpoint, credential_read_only, header_read_only, server_read_only };
            assert_eq!(reach(signals), expected, "{signals:?}");
        }
    }
}
