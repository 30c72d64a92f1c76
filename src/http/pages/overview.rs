//! The overview.

use askama::Template;

use super::{Frame, html};
use crate::http::respond::{Answer, Refusal};
use crate::http::visit::Visit;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page<'a> {
    frame: Frame<'a>,
}

/// What happened today, and what is left.
pub(in crate::http) fn show(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    html(&Page { frame: Frame::new(visit, "Overview", "/") })
}
