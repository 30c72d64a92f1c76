//! What each role may do on the pages: one table, which every page asks.

use crate::error::{Error, Kind, Result};
use crate::store::user::Role;

/// Something that a member may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See everything: chatbots, calls, keys without their secret, apps, members.
    See,
    /// Let an app read in one's own name, and take that back.
    ConnectReading,
    /// Let an app change things in one's own name.
    ConnectWriting,
    /// Change chatbots, undo changes, train.
    ChangeChatbots,
    /// Make and revoke API keys.
    ManageKeys,
    /// Narrow and revoke what other members allowed apps.
    ManageApps,
    /// Invite, remove and reset members, and change their role: as far as [`reaches`] goes.
    ManageMembers,
}

/// Whether a member with `role` may do `action`.
pub fn allows(role: Role, action: Action) -> bool {
    match (role, action) {
        (Role::Owner | Role::Admin, _) => true,
        (Role::Analyst, Action::See | Action::ConnectReading) => true,
        (Role::Analyst, _) => false,
    }
}

/// Refuses what the role does not allow.
///
/// # Errors
/// `Forbidden`, with whom to ask.
pub fn demand(role: Role, action: Action) -> Result<()> {
    if allows(role, action) {
        return Ok(());
    }
    let text = format!("You are {} here, who may not do this: ask an owner or an admin.", with_article(role));
    Err(Error::new(Kind::Forbidden, text))
}

/// Whether a member with `role` may give the role `subject`, or touch a member who has it.
pub fn reaches(role: Role, subject: Role) -> bool {
    match (role, subject) {
        (Role::Owner, _) => true,
        (Role::Admin, Role::Admin | Role::Analyst) => true,
        (Role::Admin, Role::Owner) | (Role::Analyst, _) => false,
    }
}

/// The role as one would say it: `an admin`.
pub fn with_article(role: Role) -> &'static str {
    match role {
        Role::Owner => "an owner",
        Role::Admin => "an admin",
        Role::Analyst => "an analyst",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        use Action::*;
        let check = |action: Action, expected: [bool; 3]| {
            assert_eq!(Role::ALL.map(|role| allows(role, action)), expected, "{action:?}");
        };
        //                     owner  admin  analyst
        check(See, /*       */ [true, true, true]);
        check(ConnectReading, [true, true, true]);
        check(ConnectWriting, [true, true, false]);
        check(ChangeChatbots, [true, true, false]);
        check(ManageKeys, /**/ [true, true, false]);
        check(ManageApps, /**/ [true, true, false]);
        check(ManageMembers, [true, true, false]);
    }

    #[test]
    fn who_may_touch_whom() {
        let check = |role: Role, expected: [bool; 3]| {
            assert_eq!(Role::ALL.map(|subject| reaches(role, subject)), expected, "{role:?}");
        };
        check(Role::Owner, [true, true, true]);
        check(Role::Admin, [false, true, true]);
        check(Role::Analyst, [false, false, false]);
    }
}
