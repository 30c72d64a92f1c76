//! A server that answers from a recording, so that a client is tested without its server, its data and its network:
//! over HTTP (`serve`) or on stdin and stdout (`pipe`).
//!
//! A lenient replay finds the recorded request by method and parameters, or else by method and name, and gives what was
//! answered then; equal requests get their answers in the recorded order, and after the last one that again. A strict
//! one wants the client's messages as they were recorded, in that order. Nothing waits for the recorded times.

mod answer;
mod era;
mod find;
pub mod pipe;
pub mod player;
pub mod serve;

#[cfg(test)]
mod tests;
