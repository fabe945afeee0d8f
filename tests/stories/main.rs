//! The stories: what Holdfast promises, told against the library as users meet it. One binary, since each one links
//! the whole engine.

#[path = "../support/house.rs"]
mod house;
#[path = "../support/mod.rs"]
mod support;

mod lossless;
mod policy;
mod real_logs;
