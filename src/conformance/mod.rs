//! Black-box checks of any MCP server: what it advertises is tested against the text of its revision.
//!
//! A check is a row of a table in [`checks`]: what it is called, where it applies, the sentence of the specification
//! it holds the server to, and the function that tests it on a [`Bench`]. Each era is a lane with a bench of its own.
//! What a server does not have is "not exercised", never failed. Nothing is called that may change something: a tool
//! only if it says that it reads, or if whoever runs the checks named it.

mod bench;
mod check;
pub mod checks;
mod evidence;
pub mod expect;
pub mod expected;
pub mod login;
mod opening;
pub mod report;
mod run;
mod schema;
mod task;
mod wire;

use self::bench::limited;
pub use self::bench::{Bench, Calls, Listed, Second};
pub use self::check::{
    Check, Era, Level, Lifespan, Over, Probe, Run, Source, Stop, Verdict, differs, page, same,
};
pub use self::evidence::Evidence;
pub use self::run::{Finding, LaneReport, News, Outcome, Plan, Report, run};

#[cfg(test)]
mod tests;
