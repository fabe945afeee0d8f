//! Stores: opened from URLs, read and written here. Deleting is the gate's (`gate::eraser`).

pub mod bucket;
mod cloud;
mod direct;
mod durable;
mod reused;
mod open;
mod patient;
pub mod probe;
mod store;
mod traffic;
mod trouble;
mod upload;
mod versions;

pub use direct::{Answer, Exact};
pub use durable::{DiskEvent, DiskObserver, DurableLocal};
pub use open::{Missing, open};
pub use store::{Put, Ranged, Store};
pub use traffic::Requests;
pub use upload::Upload;
pub use versions::Version;
