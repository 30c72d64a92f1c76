//! What every list of things that visitors left can be narrowed by: the chatbot, and a span of time.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Cx, Refusal, page, schema};
use crate::clock::{DAY, Time};
use crate::store::chatbot;
use crate::store::conversation::Span;

/// `chatbot_id`, `from` and `to`; flattened into a tool's own arguments.
#[derive(Debug, Default, Deserialize)]
pub struct Among {
    chatbot_id: Option<i64>,
    from: Option<String>,
    to: Option<String>,
}

/// The input schema of a list with these properties between `chatbot_id`, `from`, `to` and the paging.
pub fn list_input(own: Value) -> Value {
    let mut properties = json!({
        "chatbot_id": {"type": "integer"},
        "from": {"type": "string", "description": "RFC 3339 time or UTC date"},
        "to": {"type": "string", "description": "The same; a date includes that day"}
    });
    for (name, schema) in own.as_object().into_iter().flatten() {
        properties[name] = schema.clone();
    }
    schema::list_input(properties)
}

impl Among {
    /// The chatbot that was asked for.
    ///
    /// # Errors
    /// `not_found` when the organisation has none of that number.
    pub fn chatbot(&self, cx: &Cx<'_>) -> Result<Option<i64>, Refusal> {
        match self.chatbot_id {
            Some(id) if !chatbot::exists(cx.tx, id)? => {
                Err(Refusal::not_found("chatbot", id, "list_chatbots"))
            }
            asked => Ok(asked),
        }
    }

    /// From the moment `from` to the moment `to`, both in it; a bare date is its first moment, or in `to` its last.
    ///
    /// # Errors
    /// `invalid_arguments` for what is no time, or a `from` after `to`.
    pub fn span(&self) -> Result<Span, Refusal> {
        let from = self.from.as_deref().map(|text| time("from", text)).transpose()?;
        let to = self.to.as_deref().map(|text| time("to", text).map(|time| (text, time))).transpose()?;
        if let (Some(first), Some((text, last))) = (from, to)
            && first > last
        {
            let first = self.from.as_deref().unwrap_or_default();
            return Err(Refusal::arguments(format!(
                "from: came {first:?}, which is after to, {text:?}; wanted a time that is not after it."
            )));
        }
        Ok(Span { from, until: to.map(|(text, time)| time.plus(if is_date(text) { DAY } else { 1 })) })
    }
}

fn time(field: &str, text: &str) -> Result<Time, Refusal> {
    Time::parse(text).ok_or_else(|| {
        let shown = page::cut(text, 40);
        Refusal::arguments(format!(
            "{field}: came {shown:?}; wanted a time such as 2026-11-22T08:00:00Z, or a date such as 2026-11-22."
        ))
    })
}

fn is_date(text: &str) -> bool {
    text.len() == "2026-11-22".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: Option<&str>, to: Option<&str>) -> Result<Span, String> {
        let among = Among { chatbot_id: None, from: from.map(str::to_owned), to: to.map(str::to_owned) };
        among.span().map_err(|refusal| refusal.message)
    }

    #[test]
    fn a_date_lasts_until_its_end() {
        let check = |from: Option<&str>, to: Option<&str>, expected: (Option<&str>, Option<&str>)| {
            let span = span(from, to).unwrap();
            let shown = |time: Option<Time>| time.map(|time| time.to_string());
            assert_eq!((shown(span.from).as_deref(), shown(span.until).as_deref()), expected);
        };
        check(None, None, (None, None));
        check(
            Some("2026-11-22"),
            Some("2026-11-22"),
            (Some("2026-11-22T00:00:00Z"), Some("2026-11-23T00:00:00Z")),
        );
        check(None, Some("2026-11-22T08:00:00+01:00"), (None, Some("2026-11-22T07:00:00.001Z")));
    }

    #[test]
    fn what_is_no_span_is_refused_by_name() {
        let check = |from: &str, to: &str, expected: &str| {
            assert_eq!(span(Some(from), Some(to)).unwrap_err(), expected);
        };
        check(
            "yesterday",
            "2026-11-22",
            "from: came \"yesterday\"; wanted a time such as 2026-11-22T08:00:00Z, or a date such as 2026-11-22.",
        );
        check(
            "2026-11-22",
            "22.11.2026",
            "to: came \"22.11.2026\"; wanted a time such as 2026-11-22T08:00:00Z, or a date such as 2026-11-22.",
        );
        check(
            "2026-11-22",
            "2026-11-21",
            "from: came \"2026-11-22\", which is after to, \"2026-11-21\"; wanted a time that is not after it.",
        );
    }
}
