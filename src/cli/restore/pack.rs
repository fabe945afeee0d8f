//! How restored records are packed: what was asked for, what a file's name says, and a writer that does it, counts and
//! hashes.

use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, Kind, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    None,
    Gzip,
    Zstd,
}

impl Compress {
    /// What to pack `output` with: what was asked for, else what its name says. A name that says something else is
    /// refused, since whoever opens the file goes by it.
    pub fn choose(output: &str, asked: Option<Compress>) -> Result<Self> {
        if output == "-" || output.ends_with('/') {
            return Ok(asked.unwrap_or(Compress::None));
        }
        let said = Self::said_by(output);
        match (asked, said) {
            (Some(asked), Some(said)) if asked != said => {
                let reason = match said {
                    Compress::None => {
                        format!("--compress says {}, the file's name says that it is not packed", asked.name())
                    }
                    said => format!("--compress says {}, the file's name says {}", asked.name(), said.name()),
                };
                Err(Error::new(Kind::Usage, format!("restoring to {output}"), reason).with_hint(format!(
                    "leave --compress out, or name the file {}",
                    Self::stem(output).to_owned() + asked.ending()
                )))
            }
            (asked, said) => Ok(asked.or(said).unwrap_or(Compress::None)),
        }
    }

    /// What a file's name says of its packing; none where it says nothing.
    fn said_by(output: &str) -> Option<Self> {
        match Path::new(output).extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Some(Compress::Gzip),
            "zst" | "zstd" => Some(Compress::Zstd),
            "ndjson" | "jsonl" | "json" => Some(Compress::None),
            _ => None,
        }
    }

    /// A file's name without what says how it is packed.
    fn stem(output: &str) -> &str {
        match (Self::said_by(output), output.rsplit_once('.')) {
            (Some(Compress::Gzip | Compress::Zstd), Some((stem, _))) => stem,
            _ => output,
        }
    }

    /// What the name of a file packed so ends with.
    pub fn ending(self) -> &'static str {
        match self {
            Compress::None => "",
            Compress::Gzip => ".gz",
            Compress::Zstd => ".zst",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Compress::None => "none",
            Compress::Gzip => "gzip",
            Compress::Zstd => "zstd",
        }
    }
}

/// Packs what is written into `W`.
pub enum Packer<W: Write> {
    None(Counted<W>),
    Gzip(GzEncoder<Counted<W>>),
    Zstd(zstd::stream::write::Encoder<'static, Counted<W>>),
}

impl<W: Write> Packer<W> {
    pub fn new(writer: W, compress: Compress) -> io::Result<Self> {
        let counted = Counted { writer, bytes: 0, sha256: Sha256::new() };
        Ok(match compress {
            Compress::None => Packer::None(counted),
            Compress::Gzip => Packer::Gzip(GzEncoder::new(counted, Compression::default())),
            Compress::Zstd => Packer::Zstd(zstd::stream::write::Encoder::new(counted, 3)?),
        })
    }

    /// One record and its line end.
    pub fn line(&mut self, record: &[u8]) -> io::Result<()> {
        let writer: &mut dyn Write = match self {
            Packer::None(writer) => writer,
            Packer::Gzip(writer) => writer,
            Packer::Zstd(writer) => writer,
        };
        writer.write_all(record)?;
        writer.write_all(b"\n")
    }

    /// Ends the packing and writes everything through.
    pub fn finish(self) -> io::Result<Counted<W>> {
        let mut counted = match self {
            Packer::None(writer) => writer,
            Packer::Gzip(writer) => writer.finish()?,
            Packer::Zstd(writer) => writer.finish()?,
        };
        counted.flush()?;
        Ok(counted)
    }
}

/// Counts and hashes what goes through.
pub struct Counted<W> {
    pub writer: W,
    pub bytes: u64,
    sha256: Sha256,
}

impl<W> Counted<W> {
    /// SHA-256 of what went through, hex.
    pub fn sha256(&self) -> String {
        hex::encode(self.sha256.clone().finalize())
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_how_unless_it_is_asked_for() {
        let chosen = |output: &str, asked| Compress::choose(output, asked).unwrap();
        assert_eq!(chosen("a.ndjson", None), Compress::None);
        assert_eq!(chosen("a.ndjson.gz", None), Compress::Gzip);
        assert_eq!(chosen("a.ZST", None), Compress::Zstd);
        assert_eq!(chosen("a", Some(Compress::Gzip)), Compress::Gzip);
        assert_eq!(chosen("days.gz/", None), Compress::None);
        assert_eq!(chosen("days/", Some(Compress::Zstd)), Compress::Zstd);
        assert_eq!(chosen("-", Some(Compress::Gzip)), Compress::Gzip);
        assert_eq!(chosen("a.gz", Some(Compress::Gzip)), Compress::Gzip);
    }

    #[test]
    fn a_name_that_says_something_else_is_refused_with_a_better_one() {
        let hint = |output: &str, asked| {
            let error = Compress::choose(output, Some(asked)).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            error.hint().unwrap().to_owned()
        };
        assert!(hint("a.ndjson.gz", Compress::Zstd).ends_with(" a.ndjson.zst"));
        assert!(hint("a.ndjson.gz", Compress::None).ends_with(" a.ndjson"));
        assert!(hint("a.ndjson", Compress::Gzip).ends_with(" a.ndjson.gz"));
    }
}
