//! Stores: opened from URLs, read and written here. Deleting is the gate's (`gate::eraser`).

mod after;
pub mod bucket;
mod cloud;
mod direct;
mod durable;
mod reused;
mod open;
pub mod probe;
mod store;
mod traffic;
mod trouble;
mod versions;

pub use direct::{Answer, Exact};
pub use durable::{DiskEvent, DiskObserver, DurableLocal};
pub use open::{Missing, open};
pub use store::{Put, Store, Upload};
pub use traffic::Requests;
pub use versions::Version;
