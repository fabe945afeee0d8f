//! The stories: what Holdfast promises, told against the library as users meet it. One binary, since each one links
//! the whole engine.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a story that cannot go on fails, and says what it covered"
)]

#[path = "../support/expiring.rs"]
mod expiring;
#[path = "../support/faults.rs"]
mod faults;
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/shelf.rs"]
mod shelf;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/standing.rs"]
mod standing;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the library's own tests use the rest of it")]
mod support;
#[path = "../support/wire.rs"]
mod wire;
#[path = "../support/world.rs"]
mod world;

mod access;
mod bounded;
mod breaker;
mod clock;
mod consent;
mod crash;
mod damage;
mod dates;
mod detect;
mod docs;
mod drawn;
mod expiry;
mod explain;
mod foreign;
mod format;
mod forms;
mod forms_files;
mod forms_text;
mod gate;
mod grace;
mod house;
mod index;
mod late;
mod lossless;
mod merge;
mod plan;
mod policy;
mod policy_azure;
mod policy_diff;
mod quarantine;
mod real_logs;
mod report;
mod restored;
mod schedule;
mod search;
mod sources;
mod stores;
mod terminal;
mod trouble;
mod unattended;
