//! The stories: what Holdfast promises, told against the library as users meet it. One binary, since each one links
//! the whole engine.

#[path = "../support/faults.rs"]
mod faults;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/world.rs"]
mod world;

mod crash;
mod damage;
mod docs;
mod format;
mod house;
mod lossless;
mod policy;
mod quarantine;
mod real_logs;
mod sources;
