//! Chaterimo MCP: the MCP server of a store chatbot platform, in one binary.
//!
//! The modules in reading order; ARCHITECTURE.md says who may import whom.

// The ground: everyone may use these.
pub mod clock;
pub mod config;
pub mod contacts;
pub mod error;
pub mod keyring;
pub mod models;

// MCP without sockets, clock or database.
pub mod protocol;

// What there is, and who may see it.
pub mod access;
pub mod search;
pub mod store;

// How an app gets access: the authorization server.
pub mod oauth;

// What Claude can do with it.
pub mod completion;
pub mod prompts;
pub mod resources;
pub mod tools;
pub mod training;
pub mod views;

// How an operator's own data gets in.
pub mod demo;
pub mod import;

// One call, from access to answer.
pub mod app;

// How the outside reaches it.
pub mod bridge;
pub mod cli;
pub mod client;
pub mod conformance;
pub mod diff;
pub mod http;
pub mod local;
pub mod peer;
pub mod record;
pub mod replay;
pub mod stdio;
pub mod verify;

// What must hold whatever comes in.
#[doc(hidden)]
pub mod fuzzing;
