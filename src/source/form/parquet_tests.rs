//! Parquet against files that another library wrote (pyarrow), whole, cut off and bent.

use std::io::Cursor;

use super::*;
use crate::source::form::produce::testing::Halting;
use crate::source::form::produce::testing::{is_the_stores, values};

const SNAPPY: &[u8] = include_bytes!("samples/types.snappy.parquet");
const OTHERS: [&[u8]; 4] = [
    include_bytes!("samples/types.zstd.parquet"),
    include_bytes!("samples/types.gzip.parquet"),
    include_bytes!("samples/types.brotli.parquet"),
    include_bytes!("samples/types.lz4.parquet"),
];
const INT96: &[u8] = include_bytes!("samples/int96.parquet");

fn converted(bytes: &[u8]) -> io::Result<String> {
    let mut out = String::new();
    open(Cursor::new(bytes.to_vec()), 1 << 20)?.read_to_string(&mut out)?;
    Ok(out)
}

#[test]
fn i9_each_row_says_all_its_values() {
    let text = converted(SNAPPY).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), values(&text).len()), (5, 5));
    let first = concat!(
        r#"{"TimeGenerated":"2024-03-01T00:00:00.123456Z","ns":"2024-03-01T00:00:00.000000001Z","#,
        r#""ms":"1969-12-31T23:59:59.999","day":"2024-02-29","at":"23:59:59.999999","dec":-0.010,"small":1.10,"#,
        r#""bin":"AP8=","fix":"AAECAw==","f64":0.1,"f32":0.1,"i64":9223372036854775807,"u64":18446744073709551615,"#,
        r#""i8":-128,"ok":true,"s":"a\"b\\\n","list":[1,null,3],"map":{"k":"v"},"st":{"x":1,"y":{"z":["AQ=="]}},"#,
        r#""cat":"x"}"#,
    );
    assert_eq!(lines[0], first);
    for (line, part) in [
        (1, r#""dec":12345678901234567890123456789012345.678,"#),
        (1, r#""bin":"","fix":"AAECAw==","f64":"NaN","f32":1e+30,"i64":-9223372036854775808,"u64":0,"#),
        (2, r#""bits":"#),
        (2, r#""f64":"inf","f32":"NaN","i64":0,"#),
        (3, r#""f64":"-inf","f32":1,"#),
        (4, r#""f64":-0,"#),
        (4, r#""s":"\u0001🦀","#),
        (1, r#""list":[],"map":{},"st":{},"#),
    ] {
        assert_eq!(lines[line].contains(part), !part.contains("bits"), "{part} in {}", lines[line]);
    }
    assert!(!lines[2].contains("\"bin\"") && !lines[2].contains("\"list\""), "nulls are left out: {}", lines[2]);
}

#[test]
fn however_it_is_packed_it_is_the_same() {
    let text = converted(SNAPPY).unwrap();
    for other in OTHERS {
        assert_eq!(converted(other).unwrap(), text);
    }
    assert_eq!(converted(INT96).unwrap(), "{\"t\":\"2024-03-01T00:00:00.000000001\"}\n");
}

#[test]
fn i1_a_file_that_is_cut_off_is_an_error() {
    for length in (0..SNAPPY.len()).step_by(7) {
        let error = converted(&SNAPPY[..length]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{length}: {error}");
    }
}

#[test]
fn i12_whatever_byte_is_bent_nothing_breaks() {
    let mut bent = SNAPPY.to_vec();
    let mut errors = 0;
    for at in (0..bent.len()).step_by(3) {
        bent[at] ^= 0xff;
        if let Err(error) = converted(&bent) {
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{at}: {error}");
            errors += 1;
        }
        bent[at] ^= 0xff;
    }
    assert!(errors > 500, "{errors}");
}

#[test]
fn i11_a_piece_that_is_too_long_is_refused() {
    let error = open(Cursor::new(SNAPPY), 50).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("more than the 50 that fit this memory"), "{error}");
}

/// Fails once its bytes up to `whole` are not enough.
struct Broken {
    file: Cursor<&'static [u8]>,
    whole: u64,
}

impl Read for Broken {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.file.position() < self.whole {
            return Halting { bytes: b"", step: 1, fails: true }.read(into);
        }
        self.file.read(into)
    }
}

impl Seek for Broken {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[test]
fn i7_a_failure_of_the_store_is_not_taken_for_damage() {
    // The footer is read first: it can fail, and the pages after it.
    for whole in [SNAPPY.len() as u64, 100] {
        let file = Broken { file: Cursor::new(SNAPPY), whole };
        let mut reader = open(file, 1 << 20).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(is_the_stores(&error), "{error:?}");
        assert!(reader.read(&mut [0]).is_err(), "it stays a failure");
    }
}
