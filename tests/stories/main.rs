//! The stories: what Holdfast promises, told against the library as users meet it. One binary, since each one links
//! the whole engine.

mod docs;
mod house;
mod policy;
