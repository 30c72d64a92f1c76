//! Arguments against their schema: coerce what loses nothing, refuse the rest in words that let the model mend it.

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Number, Value};

use super::Refusal;

/// Faults named in one refusal.
const FAULTS_MAX: usize = 5;
/// Characters of a wrong value that are repeated to the model.
const SHOWN_CHARS: usize = 60;

/// A tool's input schema, compiled.
pub struct Schema {
    source: Value,
    validator: Validator,
}

impl Schema {
    /// Compiles the schema of the tool `name`.
    ///
    /// # Panics
    /// When it is no valid JSON Schema: a fault of ours that a test finds first.
    #[allow(clippy::panic)]
    pub fn compile(name: &str, source: Value) -> Schema {
        let validator = jsonschema::draft202012::new(&source);
        let validator =
            validator.unwrap_or_else(|error| panic!("the input schema of {name} is wrong: {error}"));
        Schema { source, validator }
    }

    /// The arguments, coerced, if the schema accepts them.
    pub fn check(&self, arguments: Value) -> Result<Value, Refusal> {
        let Value::Object(arguments) = arguments else {
            return Err(Refusal::arguments(format!(
                "arguments: came {}; wanted an object.",
                show(&arguments)
            )));
        };
        let arguments = self.coerce(arguments);
        if let Some(fault) = arguments.iter().find_map(|(name, value)| self.uncountable(name, value)) {
            return Err(Refusal::arguments(fault));
        }
        let arguments = Value::Object(arguments);
        if self.validator.is_valid(&arguments) {
            return Ok(arguments);
        }
        let faults: Vec<String> =
            self.validator.iter_errors(&arguments).take(FAULTS_MAX).map(|error| self.fault(&error)).collect();
        Err(Refusal::arguments(faults.join(" ")))
    }

    /// Models send `"5"` for `5`, `"true"` for `true`, `"[1]"` for `[1]`, and `null` for what they leave out.
    fn coerce(&self, mut arguments: Map<String, Value>) -> Map<String, Value> {
        arguments.retain(|_, value| !value.is_null());
        for (name, value) in &mut arguments {
            let Some(wanted) = self.property(name) else { continue };
            if let Some(coerced) = coerce(wanted, value) {
                *value = coerced;
            }
        }
        arguments
    }

    /// To JSON Schema 9e300 is an integer; to what counts with it, it is none.
    fn uncountable(&self, name: &str, value: &Value) -> Option<String> {
        let is_wrong = |schema: &Value, value: &Value| {
            schema.get("type").is_some_and(|kind| kind == "integer") && value.is_number() && !value.is_i64()
        };
        let schema = self.property(name)?;
        let items = value.as_array().zip(schema.get("items"));
        let wrong_item = items.and_then(|(all, wanted)| all.iter().find(|item| is_wrong(wanted, item)));
        let wrong = wrong_item.or_else(|| is_wrong(schema, value).then_some(value))?;
        Some(format!("{name}: came {}; wanted {}.", show(wrong), describe(schema)))
    }

    fn property(&self, name: &str) -> Option<&Value> {
        self.source.get("properties")?.get(name)
    }

    fn known(&self) -> String {
        let names = self
            .source
            .get("properties")
            .and_then(Value::as_object)
            .map(|all| all.keys().map(String::as_str));
        match names.map(|names| names.collect::<Vec<_>>().join(", ")) {
            Some(names) if !names.is_empty() => names,
            _ => "none".to_owned(),
        }
    }

    fn fault(&self, error: &jsonschema::ValidationError<'_>) -> String {
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let names: Vec<String> = unexpected.iter().take(FAULTS_MAX).map(|name| short(name)).collect();
                format!("{}: unknown argument; this tool takes {}.", names.join(", "), self.known())
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let wanted = self.property(name).map(describe).unwrap_or_default();
                format!("{name}: missing; wanted {wanted}.")
            }
            ValidationErrorKind::MinProperties { .. } => {
                format!("Nothing to change was given; pass at least one of {}.", self.known())
            }
            _ => self.wrong_value(error),
        }
    }

    fn wrong_value(&self, error: &jsonschema::ValidationError<'_>) -> String {
        let path = error.instance_path().to_string();
        let name = path.trim_start_matches('/').replace('/', ".");
        let property = path.trim_start_matches('/').split('/').next().and_then(|name| self.property(name));
        let wanted = property.map_or_else(|| error.to_string(), describe);
        let came = match (error.kind(), error.instance().as_ref()) {
            (ValidationErrorKind::MaxLength { .. }, Value::String(text)) => {
                format!("{} characters", thousands(text.chars().count() as u64))
            }
            (_, value) => show(value),
        };
        format!("{name}: came {came}; wanted {wanted}.")
    }
}

/// The value as its schema wants it, when nothing is lost by that.
fn coerce(schema: &Value, value: &Value) -> Option<Value> {
    let allows = |kind: &str| match schema.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(several)) => several.iter().any(|each| each == kind),
        _ => false,
    };
    match value {
        Value::String(text) if allows("string") && !text.trim_start().starts_with('[') => None,
        // "new, closed" for ["new", "closed"], where a comma can be no part of an item.
        Value::String(text) if allows("array") && !text.trim_start().starts_with('[') => {
            let wanted =
                schema.get("items").filter(|items| items.get("enum").is_some() || !is_text(items))?;
            let items = text.split(',').map(|item| Value::from(item.trim()));
            Some(items.map(|item| coerce(wanted, &item).unwrap_or(item)).collect())
        }
        Value::String(text) => from_text(text.trim(), &allows),
        Value::Number(number) if allows("integer") && !number.is_i64() => {
            let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15)?;
            Some(Value::from(float as i64))
        }
        Value::Number(number) if allows("string") && !allows("number") && !allows("integer") => {
            Some(Value::String(number.to_string()))
        }
        Value::Array(items) => {
            let wanted = schema.get("items")?;
            Some(items.iter().map(|item| coerce(wanted, item).unwrap_or_else(|| item.clone())).collect())
        }
        Value::Number(_) if allows("array") && !allows("integer") => Some(Value::Array(vec![value.clone()])),
        _ => None,
    }
}

fn is_text(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "string")
}

fn from_text(text: &str, allows: &dyn Fn(&str) -> bool) -> Option<Value> {
    if allows("boolean") && matches!(text, "true" | "false") {
        return Some(Value::Bool(text == "true"));
    }
    if allows("integer")
        && let Ok(whole) = text.parse::<i64>()
    {
        return Some(Value::from(whole));
    }
    if allows("number")
        && let Some(number) = text.parse::<f64>().ok().and_then(Number::from_f64)
    {
        return Some(Value::Number(number));
    }
    if allows("array") && text.starts_with('[') {
        return serde_json::from_str(text).ok();
    }
    None
}

/// What a property's schema wants, in words.
fn describe(schema: &Value) -> String {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64).map(|number| number.to_string());
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return format!("one of {}", choices.iter().map(bare).collect::<Vec<_>>().join(", "));
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let words = kinds.iter().map(|kind| match *kind {
        "integer" => format!("a whole number{}", range(bound("minimum"), bound("maximum"))),
        "number" => format!("a number{}", range(bound("minimum"), bound("maximum"))),
        "boolean" => "true or false".to_owned(),
        "array" => list_words(schema),
        _ => text_words(schema),
    });
    words.collect::<Vec<_>>().join(" or ")
}

fn range(low: Option<String>, high: Option<String>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!(" from {low} to {high}"),
        (Some(low), None) => format!(" of at least {low}"),
        (None, Some(high)) => format!(" of at most {high}"),
        (None, None) => String::new(),
    }
}

fn list_words(schema: &Value) -> String {
    let most =
        schema.get("maxItems").and_then(Value::as_u64).map(|n| format!("up to {n} ")).unwrap_or_default();
    let item = schema.get("items").map(describe).unwrap_or_default();
    format!("a list of {most}items, each {item}")
}

fn text_words(schema: &Value) -> String {
    let form = match schema.get("format").and_then(Value::as_str) {
        Some("date-time" | "date") => {
            " that is an RFC 3339 time or date, such as 2026-11-22T08:00:00Z or 2026-11-22"
        }
        _ => "",
    };
    let pattern =
        schema.get("pattern").and_then(Value::as_str).map(|p| format!(" matching {p}")).unwrap_or_default();
    let length = |key: &str| schema.get(key).and_then(Value::as_u64).map(thousands);
    let size = match (length("minLength"), length("maxLength")) {
        (Some(low), Some(high)) => format!(" of {low} to {high} characters"),
        (Some(low), None) => format!(" of at least {low} characters"),
        (None, Some(high)) => format!(" of at most {high} characters"),
        (None, None) => String::new(),
    };
    let hint = schema.get("description").and_then(Value::as_str).filter(|_| !pattern.is_empty());
    let hint = hint.map(|text| format!(" ({})", text.trim_end_matches('.'))).unwrap_or_default();
    format!("text{form}{pattern}{size}{hint}")
}

fn show(value: &Value) -> String {
    short(&value.to_string())
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| str::from_utf8(part).unwrap_or("")).collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        let source = json!({
            "type": "object",
            "properties": {
                "id": {"type": "integer", "minimum": 1},
                "ids": {"type": "array", "items": {"type": "integer"}, "maxItems": 10},
                "temperature": {"type": "number", "minimum": 0.1, "maximum": 1.0},
                "on": {"type": "boolean"},
                "text": {"type": "string", "maxLength": 5},
                "color": {"type": "string", "pattern": "^#[0-9a-f]{3}$"},
                "status": {"type": ["string", "array"], "enum": ["new"]}
            },
            "required": ["id"],
            "additionalProperties": false
        });
        Schema::compile("test", source)
    }

    #[test]
    fn coerces_what_loses_nothing() {
        let check = |came: Value, expected: Value| assert_eq!(schema().check(came).unwrap(), expected);
        check(json!({"id": "5"}), json!({"id": 5}));
        check(json!({"id": 5.0}), json!({"id": 5}));
        check(json!({"id": 1, "on": "true"}), json!({"id": 1, "on": true}));
        check(json!({"id": 1, "temperature": "0.3"}), json!({"id": 1, "temperature": 0.3}));
        check(json!({"id": 1, "ids": ["2", 3]}), json!({"id": 1, "ids": [2, 3]}));
        check(json!({"id": 1, "ids": "[2, 3]"}), json!({"id": 1, "ids": [2, 3]}));
        check(json!({"id": 1, "ids": 2}), json!({"id": 1, "ids": [2]}));
        check(json!({"id": 1, "ids": "2, 3"}), json!({"id": 1, "ids": [2, 3]}));
        check(json!({"id": 1, "text": 12}), json!({"id": 1, "text": "12"}));
        check(json!({"id": 1, "text": null}), json!({"id": 1}));
    }

    #[test]
    fn refuses_the_rest_in_words() {
        let check =
            |came: Value, expected: &str| assert_eq!(schema().check(came).unwrap_err().message, expected);
        check(json!([]), "arguments: came []; wanted an object.");
        check(json!({}), "id: missing; wanted a whole number of at least 1.");
        check(json!({"id": "five"}), "id: came \"five\"; wanted a whole number of at least 1.");
        check(json!({"id": 9e300}), "id: came 9e+300; wanted a whole number of at least 1.");
        check(json!({"id": 1.5}), "id: came 1.5; wanted a whole number of at least 1.");
        check(json!({"id": 1, "temperature": 1.1}), "temperature: came 1.1; wanted a number from 0.1 to 1.");
        check(
            json!({"id": 1, "text": "123456"}),
            "text: came 6 characters; wanted text of at most 5 characters.",
        );
        check(
            json!({"id": 1, "color": "#12345"}),
            "color: came \"#12345\"; wanted text matching ^#[0-9a-f]{3}$.",
        );
        check(json!({"id": 1, "status": "old"}), "status: came \"old\"; wanted one of new.");
        check(
            json!({"id": 1, "org": 2}),
            "org: unknown argument; this tool takes id, ids, temperature, on, text, color, status.",
        );
    }

    #[test]
    fn groups_digits() {
        let check = |number: u64, expected: &str| assert_eq!(thousands(number), expected);
        check(0, "0");
        check(999, "999");
        check(15_000, "15,000");
        check(1_234_567, "1,234,567");
    }
}
