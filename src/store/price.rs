//! Amounts of money.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Hundredths of a currency's unit. In JSON a decimal number (`19.99`), read from a number or a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(pub i64);

/// The largest price: ten thousand million units.
pub const PRICE_MAX: Price = Price(1_000_000_000_000);

impl Price {
    /// Reads `1299`, `19.9` or `19.990`; more than two decimals are rounded half up. No sign, currency or grouping.
    pub fn parse(text: &str) -> Option<Price> {
        let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let digit = |place: usize| i64::from(fraction.as_bytes().get(place).map_or(0, |b| b - b'0'));
        let hundredths = digit(0) * 10 + digit(1) + i64::from(digit(2) >= 5);
        let price = Price(whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(hundredths)?);
        (price <= PRICE_MAX).then_some(price)
    }

    /// The nearest price to a decimal number.
    pub fn of(amount: f64) -> Option<Price> {
        // In range, so the conversion loses nothing but what is rounded away.
        (0.0..=PRICE_MAX.decimal()).contains(&amount).then(|| Price((amount * 100.0).round() as i64))
    }

    fn decimal(self) -> f64 {
        self.0 as f64 / 100.0
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.decimal())
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Price, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        let written = Written::deserialize(deserializer)?;
        let price = match &written {
            Written::Number(amount) => Price::of(*amount),
            Written::Text(text) => Price::parse(text),
        };
        price.ok_or_else(|| {
            serde::de::Error::custom("no price: wanted a decimal number such as 19.99, from 0 to 10000000000")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_decimals() {
        let check = |json: &str, expected: Option<&str>| {
            let read: Option<Price> = serde_json::from_str(json).ok();
            assert_eq!(
                read.map(|price| serde_json::to_string(&price).unwrap()).as_deref(),
                expected,
                "{json}"
            );
        };
        check("19.99", Some("19.99"));
        check("\"19.99\"", Some("19.99"));
        check("\"19.995\"", Some("20.0"));
        check("1299", Some("1299.0"));
        check("0.1", Some("0.1"));
        check("\"19,99\"", None);
        check("\"\"", None);
        check("-1", None);
        check("1e300", None);
        check("\"99999999999999999999\"", None);
    }
}
