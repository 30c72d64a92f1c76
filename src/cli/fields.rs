//! Fields of the HTTP requests that a command sends.

use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::bridge::bearer;
use crate::config::Config;
use crate::error::Result;

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

/// `given`, and the API key of the settings unless they say who asks.
///
/// # Errors
/// `Config` when the key cannot be sent.
pub(super) fn with_key(mut given: Vec<Field>, config: &Config) -> Result<Vec<Field>> {
    if let (Some(key), false) = (&config.api_key, given.iter().any(|(name, _)| *name == AUTHORIZATION)) {
        given.push((AUTHORIZATION, bearer(key.reveal())?));
    }
    Ok(given)
}
