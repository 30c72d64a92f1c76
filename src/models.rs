//! The server's model catalogue: the AI models that a chatbot can answer with.
//!
//! Chatbots keep a model's id. People and models write names in many ways ("GPT-4o", "gpt 4o", "Claude Sonnet"): names are
//! compared by their letters and digits alone, and a family's bare name means its newest model.

/// A model that a chatbot can answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// What its vendor's API calls it.
    pub id: &'static str,
    /// What people call it.
    pub label: &'static str,
    /// Who runs it.
    pub vendor: &'static str,
    /// Names that mean it beside its id and label: its family's, when it is the newest of it.
    aliases: &'static [&'static str],
}

/// The catalogue: by vendor, a family's newest first.
pub const CATALOGUE: &[Model] = &[
    model("gpt-6-sol", "GPT-6 Sol", "OpenAI", &["GPT-6", "GPT"]),
    model("gpt-6-luna", "GPT-6 Luna", "OpenAI", &[]),
    model("gpt-5.5", "GPT-5.5", "OpenAI", &[]),
    model("gpt-5.4", "GPT-5.4", "OpenAI", &[]),
    model("gpt-5.4-mini", "GPT-5.4 mini", "OpenAI", &["GPT mini"]),
    model("gpt-5", "GPT-5", "OpenAI", &[]),
    model("gpt-5-mini", "GPT-5 mini", "OpenAI", &[]),
    model("gpt-4.1", "GPT-4.1", "OpenAI", &[]),
    model("gpt-4.1-mini", "GPT-4.1 mini", "OpenAI", &[]),
    model("gpt-4o", "GPT-4o", "OpenAI", &["GPT-4 omni"]),
    model("gpt-4o-mini", "GPT-4o mini", "OpenAI", &[]),
    model("claude-opus-5-5", "Claude Opus 5.5", "Anthropic", &["Claude Opus", "Opus"]),
    model("claude-opus-5", "Claude Opus 5", "Anthropic", &[]),
    model("claude-sonnet-5-5", "Claude Sonnet 5.5", "Anthropic", &["Claude Sonnet", "Sonnet", "Claude"]),
    model("claude-sonnet-5", "Claude Sonnet 5", "Anthropic", &[]),
    model("claude-sonnet-4-6", "Claude Sonnet 4.6", "Anthropic", &[]),
    model("claude-sonnet-4-5", "Claude Sonnet 4.5", "Anthropic", &[]),
    model("claude-haiku-5-5", "Claude Haiku 5.5", "Anthropic", &["Claude Haiku", "Haiku"]),
    model("claude-haiku-4-5", "Claude Haiku 4.5", "Anthropic", &[]),
    model("gemini-3.8-flash", "Gemini 3.8 Flash", "Google", &["Gemini Flash", "Flash", "Gemini"]),
    model("gemini-3.5-flash", "Gemini 3.5 Flash", "Google", &[]),
    model("gemini-3.5-flash-lite", "Gemini 3.5 Flash-Lite", "Google", &["Gemini Flash-Lite"]),
    model("gemini-2.5-flash", "Gemini 2.5 Flash", "Google", &[]),
    model("gemini-3.1-pro-preview", "Gemini 3.1 Pro", "Google", &["Gemini Pro"]),
];

/// The longest name that is looked for, in characters.
pub const NAME_CHARS_MAX: usize = 100;

/// The id of the model that `name` means: one of the catalogue, or one of the operator's own, `extra`, whose names are
/// their ids. The operator's come first. `None` when there is no such model.
pub fn find<'a>(name: &str, extra: &'a [String]) -> Option<&'a str> {
    let wanted = folded(name);
    let own = extra.iter().find(|id| folded(id) == wanted).map(String::as_str);
    own.or_else(|| CATALOGUE.iter().find(|model| model.answers_to(&wanted)).map(|model| model.id))
}

/// Every model there is, in words: `GPT-4o (gpt-4o), …`.
pub fn listed(extra: &[String]) -> String {
    let known = CATALOGUE.iter().map(|model| format!("{} ({})", model.label, model.id));
    known.chain(extra.iter().cloned()).collect::<Vec<_>>().join(", ")
}

const fn model(
    id: &'static str,
    label: &'static str,
    vendor: &'static str,
    aliases: &'static [&'static str],
) -> Model {
    Model { id, label, vendor, aliases }
}

impl Model {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.id, self.label].into_iter().chain(self.aliases.iter().copied())
    }

    fn answers_to(&self, wanted: &str) -> bool {
        self.names().any(|name| folded(name) == wanted)
    }
}

fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_models_by_what_people_write() {
        let extra = ["llama-4:70b".to_owned(), "gpt-4.1".to_owned()];
        let check = |name: &str, expected: Option<&str>| assert_eq!(find(name, &extra), expected, "{name}");
        check("gpt-4o", Some("gpt-4o"));
        check("GPT-4o", Some("gpt-4o"));
        check("gpt 4o", Some("gpt-4o"));
        check("GPT_4O mini", Some("gpt-4o-mini"));
        check("Claude Sonnet", Some("claude-sonnet-5-5"));
        check("sonnet", Some("claude-sonnet-5-5"));
        check("claude sonnet 4.6", Some("claude-sonnet-4-6"));
        check("Gemini Flash", Some("gemini-3.8-flash"));
        check("gemini pro", Some("gemini-3.1-pro-preview"));
        check("Llama 4 70B", Some("llama-4:70b"));
        check("gpt-4.1", Some("gpt-4.1"));
        check("gpt-99", None);
        check("", None);
        check("–", None);
    }

    #[test]
    fn no_name_means_two_models() {
        let mut names: Vec<String> = Vec::new();
        for model in CATALOGUE {
            let mut own: Vec<String> = model.names().map(folded).collect();
            own.sort();
            own.dedup();
            names.extend(own);
        }
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
