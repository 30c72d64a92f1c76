//! Chaterimo MCP: the MCP server of a store chatbot platform, in one binary.
//!
//! The modules in reading order; ARCHITECTURE.md says who may import whom.

pub mod client;
pub mod clock;
pub mod config;
pub mod error;
pub mod keyring;

pub mod store;

pub mod access;
pub mod protocol;

pub mod http;

pub mod cli;
