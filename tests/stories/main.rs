//! The stories: what Holdfast promises, told against the library as users meet it. One binary, since each one links
//! the whole engine.

#[path = "../support/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;

mod house;
mod lossless;
mod policy;
mod real_logs;
mod sources;
