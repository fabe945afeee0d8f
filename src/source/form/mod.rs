//! What is no NDJSON, as NDJSON: one reader for each format.

mod auditd;
mod csv;
mod journald;
mod lines;
mod produce;
mod syslog;
mod text;
