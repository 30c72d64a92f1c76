//! A report, in the form that whoever reads it wants.
