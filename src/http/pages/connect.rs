//! How to connect: what to paste where, with this server's own addresses.

use askama::Template;

use super::{Frame, html};
use crate::access::roles::Action;
use crate::http::respond::{Answer, Refusal};
use crate::http::visit::Visit;
use crate::store::user::Role;

#[derive(Template)]
#[template(path = "connect.html")]
struct Page<'a> {
    frame: Frame<'a>,
    /// The full endpoint.
    full: String,
    /// The read-only endpoint.
    read_only: String,
    /// Whether this person can allow reading alone.
    reads_only: bool,
    /// Whether this person can make keys.
    makes_keys: bool,
    /// Whether the operator allows nobody more than reading.
    server_reads_only: bool,
}

impl Page<'_> {
    /// What older clients have in their configuration file, for a program that bridges to `url`.
    fn bridge_json(&self, url: &str) -> String {
        let indent = "      ";
        format!(
            "{{\n  \"mcpServers\": {{\n    \"chaterimo\": {{\n{indent}\"command\": \"npx\",\n{indent}\"args\": [\"-y\", \"mcp-remote\", \"{url}\"]\n    }}\n  }}\n}}"
        )
    }

    /// The endpoint for this person.
    fn best(&self) -> &str {
        if self.reads_only || self.server_reads_only { &self.read_only } else { &self.full }
    }
}

/// The page of blocks to copy.
pub(in crate::http) fn show(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let visitor = visit.may(Action::See)?;
    let site = visit.asked.site;
    let origin = &site.options.public_origin;
    html(&Page {
        frame: Frame::new(visit, "Connect", "/connect"),
        full: format!("{origin}/mcp/"),
        read_only: format!("{origin}/mcp-readonly/"),
        reads_only: visitor.role() == Role::Analyst,
        makes_keys: visitor.may(Action::ManageKeys),
        server_reads_only: site.app.read_only,
    })
}
