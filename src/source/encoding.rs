//! What packs an object's bytes, told by content, and unpacking them.
//!
//! Invariant: data that is cut off, damaged or followed by something else is an error, and the raw bytes are read to
//! their last before the end is told (I1). Memory: 256 KiB, and a zstd window, which is refused beyond 128 MiB.

use std::io::{self, BufReader, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

/// How an object's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Plain,
    Gzip,
    Zstd,
}

/// Tells the encoding by the magic number of the first bytes (eight are enough).
pub fn sniff(first_bytes: &[u8]) -> Encoding {
    match first_bytes {
        [0x1f, 0x8b, ..] => Encoding::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Encoding::Zstd,
        // A skippable frame, with which seekable and parallel zstd files begin.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Encoding::Zstd,
        _ => Encoding::Plain,
    }
}

/// The name of a content that is certainly in no encoding and no form known here, by its first eight bytes. An
/// object of this kind is unreadable as a whole; a [`super::LineReader`] refuses it.
fn unsupported(first_bytes: &[u8]) -> Option<&'static str> {
    match first_bytes {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Some("bzip2"),
        [b'P', b'K', 3, 4, ..] => Some("zip"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        _ => None,
    }
}

/// Unpacks a whole object that is held in memory. `Ok(None)`: it unpacks to more than `most` bytes.
///
/// Errors: those of [`Decoder`], so that an object is judged alike however it is read.
pub fn unpack_held(bytes: &Bytes, most: usize) -> io::Result<Option<Bytes>> {
    refuse_unsupported(bytes)?;
    if sniff(bytes) == Encoding::Plain {
        return Ok(Some(bytes.clone()));
    }
    if let Some(unpacked) = gunzip_at_once(bytes, most) {
        return Ok(Some(unpacked));
    }
    let mut unpacked = Vec::new();
    Decoder::open(&bytes[..])?.take(most as u64 + 1).read_to_end(&mut unpacked)?;
    Ok((unpacked.len() <= most).then(|| unpacked.into()))
}

/// The first bytes of an object's content, unpacked, from the first of its bytes: what can be had of them, `most` at most.
pub fn first_unpacked(bytes: &[u8], most: usize) -> Vec<u8> {
    let mut first = Vec::new();
    if let Ok(decoder) = Decoder::open(bytes) {
        // It breaks off where the bytes do.
        drop(decoder.take(most as u64).read_to_end(&mut first));
    }
    first
}

/// Unpacks gzip of one member, several times as fast as a stream. `None`: it may be something else, or damaged.
fn gunzip_at_once(bytes: &[u8], most: usize) -> Option<Bytes> {
    // The library stops after the first member without a word: there must be no second, and the end must be this one's.
    const MEMBER: &[u8] = &[0x1f, 0x8b, 0x08];
    if !bytes.starts_with(MEMBER) || memchr::memmem::find(&bytes[MEMBER.len()..], MEMBER).is_some() {
        return None;
    }
    let (_, trailer) = bytes.split_last_chunk::<8>()?;
    let [c1, c2, c3, c4, l1, l2, l3, l4] = *trailer;
    let length = u32::from_le_bytes([l1, l2, l3, l4]) as usize;
    if length > most {
        return None;
    }
    let mut unpacked = vec![0; length];
    let found = libdeflater::Decompressor::new().gzip_decompress(bytes, &mut unpacked).ok()?;
    let sum = libdeflater::crc32(&unpacked);
    (found == length && sum == u32::from_le_bytes([c1, c2, c3, c4])).then(|| unpacked.into())
}

pub(super) fn refuse_unsupported(first_bytes: &[u8]) -> io::Result<()> {
    let Some(name) = unsupported(first_bytes) else { return Ok(()) };
    let reason = format!(
        "its content is {name}; what can be read is UTF-8 text, Avro, Parquet and EVTX, plain or as gzip or zstd"
    );
    Err(io::Error::new(io::ErrorKind::Unsupported, reason))
}

/// Raw bytes are asked for in pieces of this size.
const BUFFER_BYTES: usize = 256 * 1024;

/// Unpacks a stream of bytes: gzip of several members and zstd of several frames as one stream, all else as it is.
pub(super) struct Decoder<R: Read> {
    stream: Stream<R>,
}

enum Stream<R: Read> {
    Plain(Raw<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Raw<R>>>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<Raw<R>>>),
}

impl<R: Read> Decoder<R> {
    /// A decoder of a whole object. Errors: those of `raw`, and `Unsupported` for what is certainly nothing that
    /// is read.
    pub(super) fn open(mut raw: R) -> io::Result<Self> {
        let mut first = Vec::with_capacity(8);
        raw.by_ref().take(8).read_to_end(&mut first)?;
        refuse_unsupported(&first)?;
        let encoding = sniff(&first);
        let raw = Raw { first, given: 0, inner: raw, failed: false };
        let stream = match encoding {
            Encoding::Plain => Stream::Plain(raw),
            Encoding::Gzip => {
                let raw = BufReader::with_capacity(BUFFER_BYTES, raw);
                Stream::Gzip(Box::new(MultiGzDecoder::new(raw)))
            }
            Encoding::Zstd => {
                let raw = BufReader::with_capacity(BUFFER_BYTES, raw);
                Stream::Zstd(zstd::stream::read::Decoder::with_buffer(raw)?)
            }
        };
        Ok(Decoder { stream })
    }

    /// Bytes as they are, whatever they look like.
    pub(super) fn plain(raw: R) -> Self {
        Decoder { stream: Stream::Plain(Raw { first: Vec::new(), given: 0, inner: raw, failed: false }) }
    }

    pub(super) fn encoding(&self) -> Encoding {
        match &self.stream {
            Stream::Plain(_) => Encoding::Plain,
            Stream::Gzip(_) => Encoding::Gzip,
            Stream::Zstd(_) => Encoding::Zstd,
        }
    }

    #[cfg(test)]
    fn get_ref(&self) -> &R {
        &self.raw().inner
    }

    fn raw(&self) -> &Raw<R> {
        match &self.stream {
            Stream::Plain(raw) => raw,
            Stream::Gzip(decoder) => decoder.get_ref().get_ref(),
            Stream::Zstd(decoder) => decoder.get_ref().get_ref(),
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    /// Errors of the raw reader pass as they are; a decoder's own are `UnexpectedEof` or `InvalidData`.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (name, answer) = match &mut self.stream {
            Stream::Plain(raw) => return raw.read(into),
            Stream::Gzip(decoder) => ("gzip", decoder.read(into)),
            Stream::Zstd(decoder) => ("zstd", decoder.read(into)),
        };
        answer.map_err(|error| match error.kind() {
            _ if self.raw().failed => error,
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(error.kind(), format!("its {name} data is cut off: {error}"))
            }
            _ => io::Error::new(
                io::ErrorKind::InvalidData,
                format!("its {name} data is damaged, or something else follows it: {error}"),
            ),
        })
    }
}

/// The raw bytes, with those that were looked at given again, and a memory of whose fault a failure was.
struct Raw<R> {
    first: Vec<u8>,
    given: usize,
    inner: R,
    failed: bool,
}

impl<R: Read> Read for Raw<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let rest = &self.first[self.given..];
        if !rest.is_empty() {
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            self.given += count;
            return Ok(count);
        }
        loop {
            match self.inner.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
                Ok(count) => return Ok(count),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::{gzip, zstd};
    use std::fmt;

    /// By stream, and held: both must agree.
    fn decoded(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let streamed = streamed(bytes);
        let held = unpack_held(&Bytes::copy_from_slice(bytes), 64 << 20);
        match (&streamed, &held) {
            (Ok(streamed), Ok(held)) => assert_eq!(Some(&streamed[..]), held.as_deref()),
            (Err(streamed), Err(held)) => assert_eq!(streamed.to_string(), held.to_string()),
            (streamed, held) => panic!("{streamed:?}, but held {held:?}"),
        }
        streamed
    }

    fn streamed(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut decoded = Vec::new();
        Decoder::open(bytes)?.read_to_end(&mut decoded)?;
        Ok(decoded)
    }

    #[test]
    fn packed_content_is_told_by_its_bytes() {
        let text = b"{1}\n{2}\n";
        let two_members = [gzip(b"{1}\n{"), gzip(b""), gzip(b"2}\n")].concat();
        let two_frames = [zstd(b"{1}\n{"), zstd(b"2}\n")].concat();
        let skippable = [&b"\x5e\x2a\x4d\x18\x02\0\0\0hi"[..], &zstd(text)].concat();
        for (bytes, encoding) in [
            (text.to_vec(), Encoding::Plain),
            (gzip(text), Encoding::Gzip),
            (two_members, Encoding::Gzip),
            (zstd(text), Encoding::Zstd),
            (two_frames, Encoding::Zstd),
            (skippable, Encoding::Zstd),
        ] {
            assert_eq!(sniff(&bytes), encoding);
            let mut decoder = Decoder::open(&bytes[..]).unwrap();
            assert_eq!(decoder.encoding(), encoding);
            let mut decoded = Vec::new();
            decoder.read_to_end(&mut decoded).unwrap();
            assert_eq!(decoded, text);
            assert!(decoder.get_ref().is_empty(), "raw bytes left over");
        }
    }

    #[test]
    fn i1_cut_or_followed_by_something_is_an_error() {
        let text = b"{\"a\":1}\n{\"b\":[1,2,3,4,5,6,7,8,9]}\n";
        for (name, packed) in [("gzip", gzip(text)), ("zstd", zstd(text))] {
            let twice = [&packed[..], &packed[..]].concat();
            for length in (5..packed.len()).chain(packed.len() + 1..twice.len()) {
                let error = decoded(&twice[..length]).unwrap_err();
                assert!(
                    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData),
                    "{name} {length}: {error:?}"
                );
                assert!(error.to_string().contains(name), "{error}");
            }
            for tail in [&b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], b"{\"c\":1}\n", b"\n", b"\x1f"] {
                let error = decoded(&[&packed[..], tail].concat()).unwrap_err();
                assert!(error.to_string().contains(name), "{error}");
            }
        }
        // gzip carries a checksum and the length: no change of the data goes unseen.
        let packed = gzip(text);
        for at in 10..packed.len() {
            let mut flipped = packed.clone();
            flipped[at] ^= 0x10;
            // The last byte of the data has bits that nothing uses.
            assert!(decoded(&flipped).map_or(true, |decoded| decoded == text), "{at}");
        }
    }

    #[test]
    fn what_no_line_can_begin_with_is_named() {
        let error = decoded(b"\xfd7zXZ\0\0\0 more").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert_eq!(unsupported(b"PK\x03\x04\x15\0\x15\0"), Some("zip"));
        assert_eq!(unsupported(b"{\"a\":1}\n"), None);
        assert!(error.to_string().contains("xz"), "{error}");
    }

    #[test]
    fn a_failure_of_the_raw_reader_passes_as_it_is() {
        #[derive(Debug)]
        struct Gone;
        impl fmt::Display for Gone {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "gone")
            }
        }
        impl std::error::Error for Gone {}
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other(Gone))
            }
        }
        let text = "{\"a\":1}\n".repeat(5);
        for packed in [text.clone().into_bytes(), gzip(text.as_bytes()), zstd(text.as_bytes())] {
            let half = &packed[..packed.len() / 2];
            let error = Decoder::open(half.chain(Fails)).and_then(|mut decoder| decoder.read_to_end(&mut Vec::new()));
            let error = error.unwrap_err();
            assert!(error.get_ref().is_some_and(|inner| inner.is::<Gone>()), "{error:?}");
        }
    }

    #[test]
    fn i11_a_zstd_window_beyond_the_bound_is_refused() {
        // A frame header whose window is 2^31 bytes, and an empty last block.
        let error = decoded(&[0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        assert_eq!(decoded(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0, 1, 0, 0]).unwrap(), b"", "but a small one is read");
    }
}
