//! The `chaterimo` binary.

fn main() {}
