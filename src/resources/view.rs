//! `ui://chaterimo/…`: the app views, for clients that show such pages.

use super::Kind;
use crate::protocol::catalog::UI;
use crate::tools::{Cx, Refusal};
use crate::views::{self, MIME_TYPE, View};

/// The page of this view, as `read` gives it. Free, for the host asks for it, not the model.
pub(super) const fn kind(view: &'static View, read: fn(&Cx<'_>, i64) -> Result<String, Refusal>) -> Kind {
    Kind {
        uri: view.uri,
        name: view.name,
        title: view.title,
        description: view.about,
        mime_type: MIME_TYPE,
        free: true,
        extension: Some(UI),
        meta: Some(views::meta),
        completes: None,
        read,
    }
}
