//! The table of checks: a file a family, a row a check.

mod caching;
mod completion;
mod headers;
mod http;
mod identity;
mod lifecycle;
mod prompts;
mod resources;
mod rpc;
mod session;
mod stdio;
mod subscriptions;
mod tasks;
mod tools;
mod wire;

use super::{Check, Probe};

/// All checks, in the order they run.
pub fn all() -> impl Iterator<Item = &'static Check> {
    probes().map(|probe| &probe.check)
}

/// All checks with what runs them, in that order.
pub fn probes() -> impl Iterator<Item = &'static Probe> {
    let families = [
        lifecycle::CHECKS,
        rpc::CHECKS,
        tools::CHECKS,
        resources::CHECKS,
        prompts::CHECKS,
        completion::CHECKS,
        caching::CHECKS,
        headers::CHECKS,
        http::CHECKS,
        session::CHECKS,
        stdio::CHECKS,
        subscriptions::CHECKS,
        tasks::CHECKS,
        identity::CHECKS,
        // Last, for they tell what the others saw.
        wire::CHECKS,
    ];
    families.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{Era, page};
    use crate::protocol::revision::Revision;

    #[test]
    fn ids_are_unique_and_well_formed_and_every_row_says_where_it_comes_from() {
        let mut seen = std::collections::BTreeSet::new();
        for check in all() {
            assert!(seen.insert(check.id), "{} twice", check.id);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
            assert!(check.id.chars().all(plain) && check.id.contains('.'), "{}", check.id);
            assert!(check.says.ends_with('.') && !check.title.ends_with('.'), "{}", check.id);
            let modern_only = check.applies.era == Era::Modern;
            let revision = if modern_only { Revision::MODERN } else { Revision::LAST_LEGACY };
            assert!(page(check.source, revision).starts_with("https://"), "{}", check.id);
        }
    }
}
