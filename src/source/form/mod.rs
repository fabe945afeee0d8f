//! What is no NDJSON, as NDJSON: one reader for each format.

mod auditd;
mod avro;
mod avro_schema;
mod avro_value;
mod csv;
mod evtx;
mod journald;
mod lines;
mod parquet;
mod produce;
mod syslog;
mod text;
mod value;

#[cfg(test)]
mod any_text;
