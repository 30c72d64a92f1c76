//! The Model Context Protocol as a value machine: (session, view, message) in, one [`Step`] out.
//!
//! It has no socket, clock, random number, future or database, so the same code runs under HTTP, stdio, the
//! transcript replayer, the property tests and the fuzzer. Five revisions in two eras: the modern one (2026-07-28)
//! says everything in each request, the legacy ones (2024-11-05 to 2025-11-25) begin with a handshake.
//!
//! A driver reads bytes, gives them to [`rpc::parse`], gives each message to [`Engine::handle`] and does what the
//! step says. A [`Call`] is answered by [`Call::finish`], exactly once; a [`Listen`] goes on until either side ends it.

pub mod asking;
pub mod call;
pub mod catalog;
pub mod engine;
pub mod framing;
pub mod level;
pub mod listen;
pub mod meta;
pub mod outcome;
pub mod revision;
pub mod rpc;
pub mod session;
pub mod transcript;
pub mod wire;

pub use asking::{Answered, Asking};
pub use call::{Call, Completable, Target, TaskOp};
pub use catalog::{Annotations, Catalog, Offers, PromptArgument, PromptDef, TemplateDef, ToolDef};
pub use engine::{Engine, Step, View};
pub use framing::McpHeaders;
pub use level::Level;
pub use listen::{Event, Filter, Listen};
pub use meta::{Capabilities, Params};
pub use outcome::{Ask, Cache, Found, Outcome, Output, Refusal};
pub use revision::Revision;
pub use rpc::{Fault, Id, Incoming, Message, Response};
pub use session::{Peer, Session};
pub use wire::{ClientInfo, ServerInfo};
