//! The arguments that a prompt was given, held against its table.

use serde_json::{Map, Value};

use super::{Argument, Cx, Takes};
use crate::error::{Error, Result};
use crate::store::TenantTx;
use crate::store::chatbot;

/// Characters of what came that an error repeats.
const SHOWN_CHARS: usize = 60;
/// Chatbots that an error names.
const NAMED_MAX: usize = 5;

/// What was given, read; each prompt has at most one argument of a sort.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// The chatbot, by number and name.
    chatbot: Option<(i64, String)>,
    text: Option<String>,
    /// Days, where a number of them was given.
    pub(super) days: Option<i64>,
}

impl Given {
    /// Reads `came` by the table of a prompt. An empty text is none.
    ///
    /// # Errors
    /// `Invalid`, naming the argument, what came and what is wanted.
    pub(super) fn read(cx: &Cx<'_>, table: &[Argument], came: &Map<String, Value>) -> Result<Given> {
        let mut given = Given::default();
        for argument in table {
            let text = match came.get(argument.name) {
                None | Some(Value::Null) => "",
                Some(Value::String(text)) => text.trim(),
                Some(_) => return Err(wrong(argument, "no text", "a text")),
            };
            match text {
                "" if argument.required => return Err(wrong(argument, "nothing", wanted(argument.takes))),
                "" => {}
                text => given.take(cx, argument, text)?,
            }
        }
        Ok(given)
    }

    /// Its number, for the arguments of a tool; null where none was given.
    pub(super) fn chatbot_id(&self) -> Value {
        self.chatbot.as_ref().map(|(id, _)| *id).into()
    }

    /// The chatbot for a sentence: ` of the chatbot "Help" (chatbot_id 3)`; empty where none was given.
    pub(super) fn of_chatbot(&self) -> String {
        let named =
            |(id, name): &(i64, String)| format!(" of the chatbot {} (chatbot_id {id})", quoted(name));
        self.chatbot.as_ref().map(named).unwrap_or_default()
    }

    /// The text; empty where none was given.
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    fn take(&mut self, cx: &Cx<'_>, argument: &Argument, text: &str) -> Result<()> {
        let wrong = || wrong(argument, &short(text), wanted(argument.takes));
        match argument.takes {
            Takes::Chatbot => self.chatbot = Some(find(cx.tx, argument, text)?),
            Takes::Days => {
                let days = text.parse().ok().filter(|days| (1..=365).contains(days));
                self.days = Some(days.ok_or_else(wrong)?);
            }
            Takes::Text(most) => match text.chars().count() > most {
                true => {
                    return Err(self::wrong(argument, &short(text), &format!("at most {most} characters")));
                }
                false => self.text = Some(text.to_owned()),
            },
        }
        Ok(())
    }
}

/// The chatbot of that number, or the one of that name, or else with that in its name, whatever the case: some clients cut
/// what people type at its spaces.
fn find(tx: &TenantTx<'_>, argument: &Argument, text: &str) -> Result<(i64, String)> {
    let number = text.strip_prefix('#').unwrap_or(text).parse::<i64>().ok();
    if let Some(id) = number
        && let Some(name) = chatbot::name(tx, id)?
    {
        return Ok((id, name));
    }
    let (all, folded) = (chatbot::names(tx, i64::MAX)?, text.to_lowercase());
    let those = |fits: &dyn Fn(&str) -> bool| -> Vec<(i64, String)> {
        all.iter().filter(|(_, name)| fits(&name.to_lowercase())).cloned().collect()
    };
    let mut found = those(&|name| name == folded);
    if found.is_empty() {
        found = those(&|name| name.contains(&folded));
    }
    match found.len() {
        0 => Err(wrong(argument, &short(text), &format!("{}: {}", wanted(argument.takes), listed(&all)))),
        1 => Ok(found.remove(0)),
        several => {
            let came = format!("{}, which is in the names of {several} chatbots", short(text));
            Err(wrong(argument, &came, &format!("the number of one of them: {}", listed(&found))))
        }
    }
}

/// Chatbots as a person tells them apart.
fn listed(chatbots: &[(i64, String)]) -> String {
    if chatbots.is_empty() {
        return "there is none yet".to_owned();
    }
    let some = chatbots.iter().take(NAMED_MAX).map(|(id, name)| format!("{id} {}", short(name)));
    let more = if chatbots.len() > NAMED_MAX { ", …" } else { "" };
    format!("{}{more}", some.collect::<Vec<_>>().join(", "))
}

fn wanted(takes: Takes) -> &'static str {
    match takes {
        Takes::Chatbot => "the number or the name of a chatbot of this organisation",
        Takes::Text(_) => "a text",
        Takes::Days => "a whole number of days from 1 to 365",
    }
}

fn wrong(argument: &Argument, came: &str, wanted: &str) -> Error {
    Error::invalid(format!("{}: came {came}; wanted {wanted}.", argument.name))
}

fn short(text: &str) -> String {
    format!("{:?}", text.chars().take(SHOWN_CHARS).collect::<String>())
}

/// A text as a string of JSON, so that it ends where it ends.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
