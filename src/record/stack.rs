//! A short text on the stack, so that numbers and timestamps are printed, and checked, without allocating.

use std::fmt;

/// At most `N` bytes; pushing more panics, so `N` is chosen to hold the longest text there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stack<const N: usize> {
    buffer: [u8; N],
    length: usize,
}

impl<const N: usize> Stack<N> {
    pub(super) fn new() -> Self {
        Stack { buffer: [0; N], length: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

impl<const N: usize> fmt::Write for Stack<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > N - self.length {
            return Err(fmt::Error);
        }
        self.push(text.as_bytes());
        Ok(())
    }
}
