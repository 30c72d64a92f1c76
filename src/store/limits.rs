//! Limits on what is put into the store, answered in one voice.

use crate::error::{Error, Result};

/// `text` without the space around it.
///
/// # Errors
/// `Invalid`, naming the field, when it has fewer than `min` or more than `max` characters (Unicode scalar values).
pub fn text(field: &str, text: &str, min: usize, max: usize) -> Result<String> {
    let text = text.trim();
    // Counting is only needed when there are more bytes than characters allowed.
    let chars = if text.len() <= max && text.len() >= min * 4 { min } else { text.chars().count() };
    match (chars < min, chars > max) {
        (false, false) => Ok(text.to_owned()),
        (true, _) => Err(Error::invalid(format!("{field}: it is empty; wanted {min} to {max} characters."))),
        (_, true) => {
            Err(Error::invalid(format!("{field}: {chars} characters came; at most {max} are kept.")))
        }
    }
}

/// `text` as [`text`] takes it; what is empty is none.
///
/// # Errors
/// `Invalid`, naming the field, when it is too long.
pub fn optional(field: &str, value: Option<&str>, max: usize) -> Result<Option<String>> {
    Ok(Some(text(field, value.unwrap_or_default(), 0, max)?).filter(|text| !text.is_empty()))
}
