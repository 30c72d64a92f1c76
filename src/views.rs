//! App views: the pages that a client with MCP Apps shows for a tool's result (extension `io.modelcontextprotocol/ui`,
//! 2026-01-26). Each is one page without any request of its own, for a sandboxed frame under the strictest policy; it
//! speaks with its host alone, by postMessage.

use serde_json::{Value, json};

pub use crate::protocol::catalog::VIEW_MIME_TYPE as MIME_TYPE;

/// A view, and the tool whose results it shows.
pub struct View {
    /// Its address.
    pub uri: &'static str,
    /// The tool.
    pub tool: &'static str,
    /// Its name among the resources.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// The page.
    pub html: &'static str,
}

/// A page: the head that all have, and its own part.
macro_rules! page {
    ($file:literal) => {
        concat!(include_str!("../assets/views/frame.html"), include_str!(concat!("../assets/views/", $file)))
    };
}

/// Every view.
pub static VIEWS: [View; 2] = [
    View {
        uri: "ui://chaterimo/analytics",
        tool: "get_analytics",
        name: "analytics",
        title: "Analytics chart",
        about: "A chart of get_analytics: the course by day, the change against the period before, the chatbots ranked.",
        html: page!("analytics.html"),
    },
    View {
        uri: "ui://chaterimo/tickets",
        tool: "list_tickets",
        name: "tickets",
        title: "Ticket board",
        about: "A board of list_tickets: a column for each status; a card opens its ticket with get_ticket.",
        html: page!("tickets.html"),
    },
];

/// The view at `uri`.
pub fn at(uri: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.uri == uri)
}

/// The view of the results of `tool`.
pub fn of_tool(tool: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.tool == tool)
}

/// The `_meta` of every view, where it is listed and where it is read: it asks for nothing from anywhere.
pub fn meta() -> Value {
    json!({"ui": {"csp": {"connectDomains": [], "resourceDomains": []}, "prefersBorder": true}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{Effect, Entry};

    /// The most bytes of a page.
    const PAGE_BYTES_MAX: usize = 20_480;

    #[test]
    fn each_view_is_of_a_tool_that_reads() {
        for view in &VIEWS {
            assert!(
                Entry::named(view.tool).is_some_and(|tool| tool.spec.effect == Effect::Read),
                "{}",
                view.tool
            );
            assert!(std::ptr::eq(at(view.uri).unwrap(), view), "{}", view.uri);
            assert!(std::ptr::eq(of_tool(view.tool).unwrap(), view), "{}", view.tool);
        }
    }

    #[test]
    fn a_page_is_small_and_whole_and_writes_no_markup() {
        for View { uri, html, .. } in &VIEWS {
            assert!(html.len() <= PAGE_BYTES_MAX, "{uri} has {} bytes", html.len());
            assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{uri}");
            // The name of SVG is no address that is asked for.
            let text = html.replace("http://www.w3.org/2000/svg", "");
            for never in [
                "://",
                "src=",
                "href=",
                "@import",
                "url(",
                "innerHTML",
                "outerHTML",
                "insertAdjacent",
                "eval(",
                "<form",
            ] {
                assert!(!text.contains(never), "{uri} has {never}");
            }
        }
    }
}
