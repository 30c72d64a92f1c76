//! Everything about a chatbot that can be configured, and the rules each setting keeps.

use rusqlite::Row;
use rusqlite::types::ToSql;
use serde::{Deserialize, Serialize};

use super::language;
use crate::error::{Error, Result};
use crate::models;
use crate::store::choice::choice;

choice! {
    /// How closely answers follow the knowledge base.
    Strictness {
        /// May go beyond it.
        Relaxed = "relaxed",
        /// Prefers it.
        Balanced = "balanced",
        /// Answers from it alone.
        Strict = "strict",
    }
}

choice! {
    /// Where on the page the widget stands.
    Position {
        /// At the left edge.
        Left = "left",
        /// In the middle.
        Center = "center",
        /// At the right edge.
        Right = "right",
    }
}

choice! {
    /// The shape of the widget's speech bubbles.
    BubbleStyle {
        /// With round corners.
        Rounded = "rounded",
        /// With square corners.
        Square = "square",
        /// Without a box.
        Minimal = "minimal",
    }
}

/// Makes the settings out of one table: the struct, its defaults, the struct of changes to it, its columns.
macro_rules! settings {
    ($($(#[$doc:meta])* $field:ident: $kind:ty = $default:expr,)+) => {
        /// Everything about a chatbot that can be configured. In JSON every member but `name` may be left out.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Settings {
            $($(#[$doc])* pub $field: $kind,)+
        }

        impl Default for Settings {
            fn default() -> Settings {
                Settings { $($field: $default.into(),)+ }
            }
        }

        /// Changes to some settings: what is `None` stays as it is.
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        pub struct Patch {
            $($(#[$doc])* pub $field: Option<$kind>,)+
        }

        impl Patch {
            /// Makes the changes.
            pub fn apply(self, settings: &mut Settings) {
                $(if let Some(value) = self.$field {
                    settings.$field = value;
                })+
            }
        }

        impl Settings {
            /// The columns of the table `chatbot` that hold settings.
            pub(super) const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];

            /// The settings in a row that has these columns.
            pub(super) fn of_row(row: &Row<'_>) -> Result<Settings> {
                Ok(Settings { $($field: row.get(stringify!($field))?,)+ })
            }

            /// The values of [`Settings::COLUMNS`], in their order.
            pub(super) fn values(&self) -> Vec<&dyn ToSql> {
                vec![$(&self.$field),+]
            }
        }
    };
}

settings! {
    /// What people call it: 1 to 200 characters on one line.
    name: String = "",
    /// What it is for, at most 2,000 characters.
    description: String = "",
    /// Whether its widget is on.
    enabled: bool = true,
    /// The id of the AI model that answers, one of [`models::CATALOGUE`] or of the operator's own.
    model: String = "gpt-4o-mini",
    /// From 0.1 (always the same) to 1.0 (varied).
    temperature: f64 = 0.3,
    /// The language it answers in: a BCP 47 tag, or `automatic` for each visitor's own.
    language: String = language::AUTOMATIC,
    /// How closely answers follow the knowledge base.
    strictness: Strictness = Strictness::Balanced,
    /// The system prompt, at most 15,000 characters.
    instructions: String = "",
    /// The widget's main colour: `#rgb` or `#rrggbb`, kept as `#rrggbb` in lower case.
    primary_color: String = "#2563eb",
    /// The colour behind the conversation.
    background_color: String = "#ffffff",
    /// The colour of the text.
    text_color: String = "#111827",
    /// Where on the page the widget stands.
    position: Position = Position::Right,
    /// The shape of the speech bubbles.
    bubble_style: BubbleStyle = BubbleStyle::Rounded,
    /// What it greets visitors with, at most 500 characters; empty for no greeting.
    welcome_message: String = "Hello! How can we help you?",
    /// What stands in the empty input field: at most 500 characters on one line.
    input_placeholder: String = "Type your message…",
    /// What shows while it works on an answer: at most 500 characters on one line.
    thinking_label: String = "Thinking…",
    /// What stands on the button that sends: at most 500 characters on one line.
    submit_label: String = "Send",
}

/// Characters of a name at most.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters of a description at most.
pub const DESCRIPTION_CHARS_MAX: usize = 2_000;
/// Characters of the instructions at most, counted as Unicode scalar values.
pub const INSTRUCTIONS_CHARS_MAX: usize = 15_000;
/// Characters of each of the widget's texts at most.
pub const TEXT_CHARS_MAX: usize = 500;
/// The lowest and the highest temperature.
pub const TEMPERATURE: (f64, f64) = (0.1, 1.0);

impl Settings {
    /// The same settings as they are kept: spaces around lines taken away, colours, language and model in their one
    /// spelling. A model that the catalogue does not have stays as it is: it may be the operator's own.
    ///
    /// # Errors
    /// `Invalid`, naming the first field that breaks its rule, what came and what is wanted.
    pub fn checked(mut self) -> Result<Settings> {
        line("name", &mut self.name, 1, NAME_CHARS_MAX)?;
        text("description", &self.description, DESCRIPTION_CHARS_MAX)?;
        text("instructions", &self.instructions, INSTRUCTIONS_CHARS_MAX)?;
        self.check_answers()?;
        color("primary_color", &mut self.primary_color)?;
        color("background_color", &mut self.background_color)?;
        color("text_color", &mut self.text_color)?;
        text("welcome_message", &self.welcome_message, TEXT_CHARS_MAX)?;
        line("input_placeholder", &mut self.input_placeholder, 0, TEXT_CHARS_MAX)?;
        line("thinking_label", &mut self.thinking_label, 0, TEXT_CHARS_MAX)?;
        line("submit_label", &mut self.submit_label, 0, TEXT_CHARS_MAX)?;
        Ok(self)
    }

    fn check_answers(&mut self) -> Result<()> {
        line("model", &mut self.model, 1, models::NAME_CHARS_MAX)?;
        if let Some(id) = models::find(&self.model, &[]) {
            self.model = id.to_owned();
        }
        let (low, high) = TEMPERATURE;
        if !(low..=high).contains(&self.temperature) {
            return wrong("temperature", &self.temperature, "a number from 0.1 to 1");
        }
        let Some(language) = language::canonical(&self.language) else {
            let wanted = "a BCP 47 tag such as en, de or pt-BR, or \"automatic\"";
            return wrong("language", &short(&self.language), wanted);
        };
        self.language = language;
        Ok(())
    }
}

fn wrong<T>(field: &str, came: &dyn std::fmt::Display, wanted: &str) -> Result<T> {
    Err(Error::invalid(format!("{field}: came {came}; wanted {wanted}.")))
}

fn short(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

/// A text of one line, without spaces around it.
fn line(field: &str, value: &mut String, low: usize, high: usize) -> Result<()> {
    if value.trim().len() != value.len() {
        *value = value.trim().to_owned();
    }
    let chars = value.chars().count();
    if !(low..=high).contains(&chars) {
        return wrong(field, &format!("{chars} characters"), &format!("text of {low} to {high} characters"));
    }
    if value.chars().any(char::is_control) {
        return wrong(field, &short(value), "one line of text without control characters");
    }
    Ok(())
}

/// A text that may have several lines.
fn text(field: &str, value: &str, high: usize) -> Result<()> {
    let chars = value.chars().count();
    if chars > high {
        return wrong(field, &format!("{chars} characters"), &format!("text of at most {high} characters"));
    }
    match value.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Some(found) => wrong(field, &format!("{found:?}"), "text without control characters"),
        None => Ok(()),
    }
}

/// `#rgb` or `#rrggbb` (CSS Color Module Level 4, section 5.2, without alpha), written as `#rrggbb` in lower case.
fn color(field: &str, value: &mut String) -> Result<()> {
    let digits = value.strip_prefix('#').filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    *value = match digits {
        Some(digits) if digits.len() == 3 => {
            let doubled: String = digits.chars().flat_map(|digit| [digit, digit]).collect();
            format!("#{}", doubled.to_ascii_lowercase())
        }
        Some(digits) if digits.len() == 6 => format!("#{}", digits.to_ascii_lowercase()),
        _ => return wrong(field, &short(value), "a colour such as #2b7 or #22bb77"),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Settings {
        Settings { name: "Shop assistant".into(), ..Settings::default() }
    }

    #[test]
    fn keeps_one_spelling() {
        let check = |came: Settings, expected: Settings| assert_eq!(came.checked().unwrap(), expected);
        check(named(), named());
        check(Settings { name: "  Shop assistant\n".into(), ..named() }, named());
        check(Settings { primary_color: "#2563EB".into(), ..named() }, named());
        check(Settings { background_color: "#FFF".into(), ..named() }, named());
        check(Settings { model: "GPT 4o mini".into(), ..named() }, named());
        check(Settings { language: "Automatic".into(), ..named() }, named());
        let own = Settings { model: "our-llama".into(), ..named() };
        check(own.clone(), own);
        let lines = Settings { instructions: "One.\n\tTwo.\r\n".into(), ..named() };
        check(lines.clone(), lines);
        let longest = Settings { instructions: "é".repeat(15_000), ..named() };
        check(longest.clone(), longest);
    }

    #[test]
    fn refuses_what_breaks_a_rule() {
        let check = |came: Settings, expected: &str| assert_eq!(came.checked().unwrap_err().public, expected);
        check(Settings::default(), "name: came 0 characters; wanted text of 1 to 200 characters.");
        check(
            Settings { name: "a\nb".into(), ..named() },
            "name: came \"a\\nb\"; wanted one line of text without control characters.",
        );
        check(
            Settings { instructions: "é".repeat(15_001), ..named() },
            "instructions: came 15001 characters; wanted text of at most 15000 characters.",
        );
        check(
            Settings { description: "a\u{0}".into(), ..named() },
            "description: came '\\0'; wanted text without control characters.",
        );
        check(
            Settings { temperature: 1.1, ..named() },
            "temperature: came 1.1; wanted a number from 0.1 to 1.",
        );
        check(
            Settings { temperature: f64::NAN, ..named() },
            "temperature: came NaN; wanted a number from 0.1 to 1.",
        );
        check(
            Settings { text_color: "#12345".into(), ..named() },
            "text_color: came \"#12345\"; wanted a colour such as #2b7 or #22bb77.",
        );
        check(
            Settings { text_color: "#é1".into(), ..named() },
            "text_color: came \"#é1\"; wanted a colour such as #2b7 or #22bb77.",
        );
        check(
            Settings { language: "English".into(), ..named() },
            "language: came \"English\"; wanted a BCP 47 tag such as en, de or pt-BR, or \"automatic\".",
        );
        check(
            Settings { submit_label: "x".repeat(501), ..named() },
            "submit_label: came 501 characters; wanted text of 0 to 500 characters.",
        );
    }

    #[test]
    fn reads_json_with_only_a_name() {
        let read: Settings = serde_json::from_str(r#"{"name": "Shop assistant"}"#).unwrap();
        assert_eq!(read, named());
        assert!(serde_json::from_str::<Settings>(r#"{"name": "x", "colour": "red"}"#).is_err());
    }
}
