//! JSON from strangers: one object, in which no member stands twice. Two readers that each take another of the twins
//! would see two different clients.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::without_secrets;

/// The object that `bytes` hold and nothing else.
///
/// # Errors
/// What is wrong with them, in the words of the parser.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut parser).map_err(|error| error.to_string())?;
    parser.end().map_err(|error| error.to_string())?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err("it is no JSON object".to_owned()),
    }
}

/// The texts of the array `name`; none when it is absent or null.
///
/// # Errors
/// When it is no array of texts.
pub(super) fn texts(object: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, String> {
    let wrong = || format!("{name} must be an array of strings");
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong));
            texts.collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(wrong()),
    }
}

/// The text `name`; none when it is absent or null.
///
/// # Errors
/// When it is no text.
pub(super) fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} must be a string")),
    }
}

/// Reads any value; serde_json itself bounds the depth.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Strict)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Strict)?;
            if object.insert(name.clone(), value).is_some() {
                let name = without_secrets(&name);
                return Err(A::Error::custom(format_args!("the member {name:?} stands twice")));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_without_twins() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let read = object(text.as_bytes()).map(|object| Value::Object(object).to_string());
            match (read, expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{text}: {error}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
        };
        check(
            r#" {"a":[1,-2,0.5,"x",null,true,{"b":{}}]} "#,
            Ok(r#"{"a":[1,-2,0.5,"x",null,true,{"b":{}}]}"#),
        );
        check(r#"{"a":1,"a":1}"#, Err("stands twice"));
        check(r#"{"x":[{"a":1,"\u0061":2}]}"#, Err("stands twice"));
        check("[]", Err("no JSON object"));
        check("{} {}", Err("trailing"));
        check("<!DOCTYPE html>", Err("expected value"));
        check("", Err("EOF"));
        check(&format!("{}{}", "[".repeat(300), "]".repeat(300)), Err("recursion"));
    }
}
