//! The one integration binary.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on fails

mod accounts;
mod background;
mod bad_input;
mod bridge;
mod canary;
mod cli;
mod conformance;
mod conformance_identity;
mod conformance_login;
mod conformance_server;
mod content;
mod conversing;
mod http;
mod import;
mod isolation;
mod limit;
mod oauth_clients;
mod oauth_documents;
mod oauth_flow;
mod pages;
mod pages_frame;
mod pages_log;
#[cfg(unix)]
mod pressure;
mod processes;
mod properties;
mod record;
mod recordings;
mod replay;
mod replay_oauth;
mod schema;
mod streams;
mod support;
mod tidy;
mod tokenized_urls;
mod tools;
mod training;
