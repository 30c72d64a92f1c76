//! The one integration binary.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on fails

mod bridge;
mod cli;
mod http;
mod properties;
mod record;
mod schema;
mod tidy;
