//! Fields of the HTTP requests that a command sends.

use hyper::header::{HeaderName, HeaderValue};

/// A field.
pub(super) type Field = (HeaderName, HeaderValue);

/// The field of `--header`, written `Name: value`; its value is in no log.
///
/// # Errors
/// What is wrong with it, for clap to say.
pub(super) fn read(text: &str) -> Result<Field, String> {
    let (name, value) = text.split_once(':').ok_or("wanted is 'Name: value'")?;
    let name = name.trim().parse::<HeaderName>().map_err(|_| "the name cannot be one of a header field")?;
    let mut value =
        value.trim().parse::<HeaderValue>().map_err(|_| "the value cannot be one of a header field")?;
    value.set_sensitive(true);
    Ok((name, value))
}
