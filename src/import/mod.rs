//! Importing: what other places know becomes rows of the store. Imports nothing but the store and what is below it.

pub mod record;
