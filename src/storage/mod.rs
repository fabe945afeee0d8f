//! Stores: opened from URLs, read and written here. Deleting is the gate's (`gate::eraser`).

mod durable;
mod reused;
mod open;
mod store;

pub use durable::{DiskEvent, DiskObserver, DurableLocal};
pub use open::{Missing, local_folder, open};
pub use store::{Put, Store, Upload};
