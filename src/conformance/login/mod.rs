//! Signing in to the tested server as an app does, whatever its authorization server, and then attacking what was
//! granted.
//!
//! [`sign_in()`] goes the way of the MCP authorization pages: the challenge, the documents of resource and authorization
//! server, registration, PKCE, a person's consent in a browser, tokens. [`attack`] then asks, of each rule that keeps a
//! grant safe, whether the server holds to it. What each found goes into [`Notes`], by the ids of [`CHECKS`].

mod authorize;
mod browser;
mod codes;
mod discovery;
mod documents;
mod listener;
mod notes;
mod redirects;
mod refresh;
mod registration;
mod request;
mod resource;
mod run;
mod sign_in;
mod table;
mod tokens;
mod web;

pub use self::browser::{Browser, Hook};
pub use self::notes::{Notes, Trial};
pub use self::run::{Logins, all, run};
pub use self::sign_in::{Options, Session, sign_in};
pub use self::table::CHECKS;

/// Attacks the grant of `session`. Asks the person for consent some more times, for most attacks spend a code or a
/// grant; leaves no token alive that it can revoke.
pub async fn attack(session: &mut Session, notes: &mut Notes) {
    resource::attack(session, notes).await;
    session.authorization.expect_refusals();
    registration::attack(session, notes).await;
    redirects::attack(session, notes).await;
    codes::attack(session, notes).await;
    refresh::attack(session, notes).await;
}
