//! Stores: opened from URLs, read and written here, deleted from only by `eraser`.

mod store;

pub use store::{Put, Store};
