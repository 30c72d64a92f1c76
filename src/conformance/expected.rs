//! The official suite's file of expected failures.
