//! How calls end, in three classes.

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// It was answered.
    Ok,
    /// It was turned away before it ran, and cost nothing.
    Refused,
    /// It ran, or should have run, and came to nothing.
    Failed,
}

/// The codes of calls that are turned away before they run.
const REFUSED: [&str; 8] = [
    "quota_exceeded",
    "read_only",
    "insufficient_scope",
    "forbidden",
    "invalid_arguments",
    "input_required",
    "declined",
    "invalid_request_state",
];

impl Class {
    /// The class of a row's `outcome`.
    pub fn of(outcome: &str) -> Class {
        match outcome {
            "ok" => Class::Ok,
            code if REFUSED.contains(&code) => Class::Refused,
            _ => Class::Failed,
        }
    }
}

/// Which outcomes a search wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Those of a class.
    Class(Class),
    /// This code alone.
    Code(String),
}

impl Wanted {
    /// The condition on the column `outcome` that says so.
    pub(super) fn narrow(&self, conditions: &mut crate::store::filter::Where) {
        let refused = || REFUSED.into_iter();
        match self {
            Wanted::Class(Class::Ok) => conditions.and("outcome = ?", "ok"),
            Wanted::Class(Class::Refused) => conditions.and_any("outcome", refused()),
            Wanted::Class(Class::Failed) => conditions.and_none("outcome", refused().chain(["ok"])),
            Wanted::Code(code) => conditions.and("outcome = ?", code.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let check = |outcome: &str, expected: Class| assert_eq!(Class::of(outcome), expected, "{outcome}");
        check("ok", Class::Ok);
        check("quota_exceeded", Class::Refused);
        check("read_only", Class::Refused);
        check("input_required", Class::Refused);
        check("not_found", Class::Failed);
        check("internal", Class::Failed);
        check("a code of a later version", Class::Failed);
    }
}
