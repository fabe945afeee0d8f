//! The stories: what Holdfast promises, told against the library as users meet it. One binary, since each one links
//! the whole engine.

#[path = "../support/faults.rs"]
mod faults;
#[path = "../support/world.rs"]
mod world;

mod crash;
mod damage;
mod docs;
mod house;
mod policy;
