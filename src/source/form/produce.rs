//! A reader of lines that something produces piece by piece.
//!
//! Invariants: what was produced and not yet read is one piece at most (I11); a failure ends it for good and comes again
//! however often it is asked for, so that what was not read cannot look read (I1). The first time it comes as it was,
//! so that the failure of a store inside it is still found.

use std::io::{self, Read};

/// A piece is produced until it has this many bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Makes NDJSON of what it reads.
pub(super) trait Produce {
    /// Appends the next lines to `out`, possibly none. `Ok(false)`: all has been produced.
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool>;
}

/// Reads what a producer makes.
pub(super) struct Produced<P> {
    producer: P,
    piece: Vec<u8>,
    given: usize,
    ended: bool,
    failed: Option<(io::ErrorKind, String)>,
}

impl<P: Produce> Produced<P> {
    pub(super) fn new(producer: P) -> Self {
        Produced { producer, piece: Vec::new(), given: 0, ended: false, failed: None }
    }

    fn next_piece(&mut self) -> io::Result<()> {
        if let Some((kind, text)) = &self.failed {
            return Err(io::Error::new(*kind, text.clone()));
        }
        self.piece.clear();
        self.given = 0;
        while !self.ended && self.piece.len() < PIECE_BYTES {
            match self.producer.more(&mut self.piece) {
                Ok(more) => self.ended = !more,
                Err(error) => {
                    self.failed = Some((error.kind(), error.to_string()));
                    self.piece.clear();
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl<P: Produce> Read for Produced<P> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        if self.given == self.piece.len() {
            self.next_piece()?;
        }
        let rest = &self.piece[self.given..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

/// Reads what is there, at most what `into` holds, whatever interrupts it.
pub(super) fn read_some(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// The error of a content that is not what its format says.
pub(super) fn damaged(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Gives its bytes in pieces of `step`, then, if there is one, a failure.
    pub(in crate::source::form) struct Halting<'a> {
        pub(in crate::source::form) bytes: &'a [u8],
        pub(in crate::source::form) step: usize,
        pub(in crate::source::form) fails: bool,
    }

    #[derive(Debug)]
    struct Broken;

    impl std::fmt::Display for Broken {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the store broke")
        }
    }

    impl std::error::Error for Broken {}

    /// The failure of a [`Halting`] reader is in it, as it was.
    pub(in crate::source::form) fn is_the_stores(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Broken>())
    }

    impl Read for Halting<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.bytes.is_empty() && self.fails {
                return Err(io::Error::other(Broken));
            }
            let count = self.step.min(into.len()).min(self.bytes.len());
            into[..count].copy_from_slice(&self.bytes[..count]);
            self.bytes = &self.bytes[count..];
            Ok(count)
        }
    }

    /// All that `open` makes of `bytes`, which must not depend on how it is read, nor a failing store be hidden.
    pub(in crate::source::form) fn all<'a, O: Read>(
        bytes: &'a [u8],
        open: impl Fn(Halting<'a>) -> io::Result<O>,
    ) -> io::Result<String> {
        let mut answers = [usize::MAX, 1, 7].map(|step| {
            let mut out = Vec::new();
            open(Halting { bytes, step, fails: false })?.read_to_end(&mut out)?;
            Ok(out)
        });
        let mut bytewise = Vec::new();
        if let Ok(mut reader) = open(Halting { bytes, step: 3, fails: false }) {
            let mut byte = [0];
            while let Ok(1) = reader.read(&mut byte) {
                bytewise.push(byte[0]);
            }
        }
        let store = open(Halting { bytes, step: 5, fails: true }).and_then(|mut reader| {
            let answer = reader.read_to_end(&mut Vec::new());
            // It stays a failure.
            assert!(answer.is_ok() || reader.read(&mut [0]).is_err());
            answer
        });
        match (&answers[0], store) {
            (Ok(out), Err(error)) => {
                assert!(is_the_stores(&error), "{error:?}");
                assert_eq!(*out, bytewise);
            }
            (Ok(_), Ok(_)) => panic!("a failure of the store was taken for the end"),
            // What is wrong may show before the store fails.
            (Err(_), _) => {}
        }
        for other in &answers[1..] {
            match (&answers[0], other) {
                (Ok(one), Ok(other)) => assert_eq!(one, other),
                (one, other) => {
                    assert_eq!(one.as_ref().map_err(io::Error::to_string), other.as_ref().map_err(io::Error::to_string))
                }
            }
        }
        std::mem::replace(&mut answers[0], Ok(Vec::new())).map(|out| String::from_utf8_lossy(&out).into_owned())
    }

    /// Whether the decoder takes `line` for a record.
    pub(in crate::source::form) fn is_record(line: &[u8]) -> bool {
        crate::record::members(line, &mut Vec::new()).is_ok()
    }

    /// The lines as values; each must be a record.
    pub(in crate::source::form) fn values(text: &str) -> Vec<serde_json::Value> {
        text.lines()
            .map(|line| {
                assert!(is_record(line.as_bytes()), "{line}");
                serde_json::from_str(line).unwrap()
            })
            .collect()
    }
}
