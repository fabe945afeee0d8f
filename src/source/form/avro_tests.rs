//! Avro against files that another library wrote (fastavro), whole, cut off and bent.

use serde_json::{Value, json};

use super::*;
use crate::source::form::produce::testing::{all, is_record, values};

const CAPTURE_DEFLATE: &[u8] = include_bytes!("samples/capture.deflate.avro");
const CAPTURE_SNAPPY: &[u8] = include_bytes!("samples/capture.snappy.avro");
const GENERIC_NULL: &[u8] = include_bytes!("samples/generic.null.avro");
const GENERIC_ZSTANDARD: &[u8] = include_bytes!("samples/generic.zstandard.avro");
const SAMPLES: [&[u8]; 4] = [CAPTURE_DEFLATE, CAPTURE_SNAPPY, GENERIC_NULL, GENERIC_ZSTANDARD];

fn converted(bytes: &[u8]) -> io::Result<String> {
    all(bytes, |raw| open(raw, 1 << 20))
}

#[test]
fn i9_capture_gives_the_bodies_byte_for_byte() {
    let mut bytes = Vec::new();
    open(CAPTURE_DEFLATE, 1 << 20).unwrap().read_to_end(&mut bytes).unwrap();
    let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let expected: [&[u8]; 6] = [
        br#"{"time":"2024-03-01T00:00:00.0000001Z","category":"Audit"}"#,
        br#"{"time":"2024-03-01T00:00:01Z"}"#,
        br#"{"TimeGenerated":"2024-03-01T00:00:02Z","n":1.10}"#,
        b"{\"a\":1}\r",
        br#"{"a":2}"#,
        br#"{    "a": "x\ny",   "b": [1,  2] } "#,
    ];
    assert_eq!(lines[..6], expected);
    // Without a body, the event itself; what is no text is left for the quarantine.
    for (line, number) in [(lines[6], 4), (lines[7], 5)] {
        let event: Value = serde_json::from_slice(line).unwrap();
        assert!(is_record(line));
        assert_eq!(event["SequenceNumber"], number);
        assert_eq!(event["Body"], if number == 4 { Value::Null } else { json!("") });
        assert_eq!(event["SystemProperties"]["x-opt-enqueued-time"], 1_709_251_200_000_i64 + number);
    }
    assert_eq!(lines[8], b"K\xf6ln");
    assert_eq!(lines[9..], [b""]);
    assert_eq!(converted(CAPTURE_DEFLATE).unwrap(), converted(CAPTURE_SNAPPY).unwrap());
}

#[test]
fn i9_any_other_file_gives_its_records() {
    let text = converted(GENERIC_NULL).unwrap();
    assert_eq!(text, converted(GENERIC_ZSTANDARD).unwrap());
    let first = concat!(
        r#"{"TimeGenerated":"2024-03-01T00:00:00.123456Z","local":"2024-03-01T01:00:00.005","day":"2024-03-01","#,
        r#""at":"23:59:59.999","id":"00000000-0000-0000-0000-000000000001","price":"-12345678901234567.890","#,
        r#""action":"ALLOW","tags":{"a":null,"b":"x\"y","c":1099511627776},"ports":[],"mac":"AAECAwQF","#,
        r#""note":"Grüße\n","peer":null,"ok":false,"ratio":0.1,"small":0.5,"bytes":"AP8=","big":9223372036854775807}"#,
    );
    assert_eq!(text.lines().next().unwrap(), first);
    let third = values(&text).remove(2);
    assert_eq!(third["peer"], json!({"host": "h", "last": "DENY", "mac": "////////"}));
    assert_eq!((&third["ports"], &third["ratio"]), (&json!([0, 1]), &json!(2.1)));
}

#[test]
fn i1_a_file_that_is_cut_off_is_an_error_but_between_its_blocks() {
    for sample in SAMPLES {
        let whole = converted(sample).unwrap();
        let mut ends = 0;
        for length in 0..sample.len() {
            let mut out = String::new();
            match open(&sample[..length], 1 << 20).unwrap().read_to_string(&mut out) {
                // Nothing tells that there was one more block.
                Ok(_) => {
                    assert!(whole.starts_with(&out) && out.len() < whole.len(), "{length}");
                    assert!(sample[..length].ends_with(b"0123456789abcdef"), "{length}");
                    ends += 1;
                }
                Err(error) => assert!(matches!(error.kind(), io::ErrorKind::InvalidData), "{length}: {error:?}"),
            }
        }
        assert!((1..10).contains(&ends), "{ends}");
    }
}

#[test]
fn i12_whatever_byte_is_bent_nothing_breaks() {
    for sample in SAMPLES {
        let mut bent = sample.to_vec();
        for at in 0..sample.len() {
            for bits in [0x01, 0x80, 0xff] {
                bent[at] ^= bits;
                let mut out = Vec::new();
                if let Err(error) = open(&bent[..], 1 << 20).unwrap().read_to_end(&mut out) {
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{at}: {error}");
                }
                bent[at] ^= bits;
            }
        }
    }
}

#[test]
fn a_marker_or_a_count_that_is_another_is_an_error() {
    let error = |bytes: &[u8]| converted(bytes).unwrap_err().to_string();
    let mut bent = GENERIC_NULL.to_vec();
    *bent.last_mut().unwrap() ^= 1;
    assert!(error(&bent).ends_with("has no sync marker at its end"), "{}", error(&bent));
    assert_eq!(error(b"Obj\x02"), "it is no Avro: it does not begin with `Obj` and 1");
    assert_eq!(error(b""), "its Avro is cut off");
    let file = |codec: &str, count: u8, data: &[u8]| {
        let mut bytes = b"Obj\x01\x04\x16avro.schema\x0a\"int\"\x14avro.codec".to_vec();
        bytes.push((codec.len() * 2) as u8);
        bytes.extend_from_slice(codec.as_bytes());
        bytes.extend_from_slice(b"\x000123456789abcdef");
        bytes.extend_from_slice(&[count * 2, (data.len() * 2) as u8]);
        bytes.extend_from_slice(data);
        bytes.extend_from_slice(b"0123456789abcdef");
        bytes
    };
    assert_eq!(converted(&file("null", 2, &[2, 4])).unwrap(), "1\n2\n", "no records: the decoder refuses them");
    assert!(error(&file("null", 1, &[2, 4])).ends_with("block 1 of its Avro has 1 bytes more than its records"));
    assert!(error(&file("null", 0, &[2])).ends_with("has 1 bytes more than its records"));
    assert!(error(&file("null", 3, &[2, 4])).ends_with("a value goes beyond its block"));
    assert!(error(&file("bzip2", 1, &[2])).contains("is packed with bzip2"));
    assert!(error(&file("snappy", 1, &[1, 0, 2, 0, 0, 0, 0])).ends_with("its check sum is another"));
}

#[test]
fn i11_a_block_that_unpacks_to_too_much_is_refused() {
    let schema = "{\"type\":\"bytes\"}";
    let bomb = zstd::stream::encode_all(&vec![0; 200_000][..], 3).unwrap();
    let mut bytes = b"Obj\x01\x04\x16avro.schema".to_vec();
    bytes.push((schema.len() * 2) as u8);
    bytes.extend_from_slice(schema.as_bytes());
    bytes.extend_from_slice(b"\x14avro.codec\x12zstandard\x000123456789abcdef\x02");
    bytes.push((bomb.len() * 2) as u8);
    bytes.extend_from_slice(&bomb);
    bytes.extend_from_slice(b"0123456789abcdef");
    let error = all(&bytes, |raw| open(raw, 100_000)).unwrap_err();
    assert!(error.to_string().ends_with("it is more than the 100000 bytes that fit this memory"), "{error}");
    let error = all(GENERIC_NULL, |raw| open(raw, 100)).unwrap_err();
    assert!(error.to_string().contains("more than the 100 that fit this memory"), "{error}");
}
