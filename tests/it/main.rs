//! The binary from outside.

mod offline;
