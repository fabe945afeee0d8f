//! What an Avro file says its records are: the writer's schema, as far as reading needs it.
//!
//! Invariants: names are resolved here, once; a type within itself is refused, and so is nesting deeper than
//! [`MOST_DEPTH`], so that reading a record can neither loop nor overflow the stack, whatever the file says. A logical
//! type that is unknown or does not fit its base is no error: Avro says that the base type stands.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::text;

/// How deep types may be nested.
const MOST_DEPTH: usize = 64;
/// Bytes of the largest decimal that is read as one.
pub(super) const MOST_DECIMAL_BYTES: usize = 32;

/// A type, its names resolved.
#[derive(Debug)]
pub(super) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Record(Record),
    /// The symbols as JSON strings.
    Enum(Vec<Vec<u8>>),
    Array(Arc<Type>),
    Map(Arc<Type>),
    Union(Vec<Arc<Type>>),
    Date,
    /// Of day: three digits after the second, or six.
    Time {
        digits: u32,
    },
    /// Since 1970: digits after the second, and whether it names an instant or a local time.
    Timestamp {
        digits: u32,
        local: bool,
    },
    Decimal {
        scale: usize,
        fixed: Option<usize>,
    },
    /// Sixteen bytes.
    Uuid,
    /// Months, days and milliseconds, twelve bytes.
    Duration,
}

/// A record's name with its namespace, and its fields in their order.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    /// The name as a JSON string.
    pub(super) json: Vec<u8>,
    pub(super) kind: Arc<Type>,
}

/// Reads a schema; the error says what is wrong with it.
pub(super) fn parse(json: &[u8]) -> Result<Arc<Type>, String> {
    let value: Value = serde_json::from_slice(json).map_err(|error| format!("it is no JSON: {error}"))?;
    let mut names = Names::default();
    names.read(&value, "").map(|(kind, _)| kind)
}

/// Named types: how deep each is, and `None` while its definition is being read.
#[derive(Default)]
struct Names(HashMap<String, Option<(Arc<Type>, usize)>>);

impl Names {
    /// A type and how deep it is nested.
    fn read(&mut self, value: &Value, namespace: &str) -> Result<(Arc<Type>, usize), String> {
        let (kind, depth) = match value {
            Value::String(name) => match primitive(name) {
                Some(kind) => (kind, 0),
                None => return self.named(name, namespace),
            },
            Value::Array(branches) => {
                let mut kinds = Vec::with_capacity(branches.len());
                let mut deepest = 0;
                for branch in branches {
                    let (kind, depth) = self.read(branch, namespace)?;
                    kinds.push(kind);
                    deepest = deepest.max(depth);
                }
                (Type::Union(kinds), deepest + 1)
            }
            Value::Object(object) => return self.complex(object, namespace),
            other => return Err(format!("{other} is no type")),
        };
        deep(Arc::new(kind), depth)
    }

    fn named(&self, name: &str, namespace: &str) -> Result<(Arc<Type>, usize), String> {
        match self.0.get(&full_name(name, namespace)).or_else(|| self.0.get(name)) {
            Some(Some((kind, depth))) => deep(Arc::clone(kind), *depth),
            Some(None) => Err(format!("the type {name} contains itself, which is not read")),
            None => Err(format!("the type {name} is not defined")),
        }
    }

    fn complex(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<(Arc<Type>, usize), String> {
        let kind = match object.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(inner) => return self.read(inner, namespace),
            None => return Err("a type has no `type`".to_owned()),
        };
        let inner = |key: &str| object.get(key).ok_or_else(|| format!("a type `{kind}` has no `{key}`"));
        let (kind, depth) = match kind {
            "array" => {
                let (items, depth) = self.read(inner("items")?, namespace)?;
                (Type::Array(items), depth + 1)
            }
            "map" => {
                let (values, depth) = self.read(inner("values")?, namespace)?;
                (Type::Map(values), depth + 1)
            }
            "record" | "error" | "enum" | "fixed" => return self.define(kind, object, namespace),
            _ => match primitive(kind) {
                Some(base) => (logical(base, object), 0),
                None => return self.named(kind, namespace),
            },
        };
        deep(Arc::new(kind), depth)
    }

    fn define(&mut self, kind: &str, object: &Map<String, Value>, outer: &str) -> Result<(Arc<Type>, usize), String> {
        let name = object.get("name").and_then(Value::as_str).ok_or_else(|| format!("a type `{kind}` has no name"))?;
        let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(outer);
        let full = full_name(name, namespace);
        let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        if self.0.insert(full.clone(), None).is_some() {
            return Err(format!("the type {full} is defined twice"));
        }
        let (defined, depth) = match kind {
            "enum" => {
                let symbols = object.get("symbols").and_then(Value::as_array);
                let symbols = symbols.ok_or_else(|| format!("the enum {full} has no symbols"))?;
                let symbols: Option<_> = symbols.iter().map(|symbol| symbol.as_str().map(json)).collect();
                (Type::Enum(symbols.ok_or_else(|| format!("the enum {full} has a symbol that is no text"))?), 0)
            }
            "fixed" => {
                let size = object.get("size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or_else(|| format!("the fixed {full} has no size"))?;
                (logical(Type::Fixed(size), object), 0)
            }
            _ => {
                let listed = object.get("fields").and_then(Value::as_array);
                let mut fields = Vec::new();
                let mut deepest = 0;
                for field in listed.ok_or_else(|| format!("the record {full} has no fields"))? {
                    let name = field.get("name").and_then(Value::as_str);
                    let name = name.ok_or_else(|| format!("a field of {full} has no name"))?;
                    let kind = field.get("type").ok_or_else(|| format!("the field {name} of {full} has no type"))?;
                    let (kind, depth) = self.read(kind, &namespace)?;
                    deepest = deepest.max(depth);
                    fields.push(Field { name: name.to_owned(), json: json(name), kind });
                }
                (Type::Record(Record { name: full.clone(), fields }), deepest + 1)
            }
        };
        let defined = deep(Arc::new(defined), depth)?;
        self.0.insert(full, Some(defined.clone()));
        Ok(defined)
    }
}

fn deep(kind: Arc<Type>, depth: usize) -> Result<(Arc<Type>, usize), String> {
    if depth > MOST_DEPTH {
        return Err(format!("its types are nested deeper than {MOST_DEPTH}"));
    }
    Ok((kind, depth))
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn json(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    text::string(name.as_bytes(), &mut out);
    out
}

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int,
        "long" => Type::Long,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "string" => Type::Text,
        _ => return None,
    })
}

/// What the logical type makes of its base.
fn logical(base: Type, object: &Map<String, Value>) -> Type {
    let decimal = |fixed| {
        let number = |key: &str, absent| match object.get(key) {
            Some(value) => value.as_u64().and_then(|value| usize::try_from(value).ok()),
            None => absent,
        };
        let (scale, precision) = (number("scale", Some(0))?, number("precision", None)?);
        (scale <= precision).then_some(Type::Decimal { scale, fixed })
    };
    let found = match (object.get("logicalType").and_then(Value::as_str).unwrap_or_default(), &base) {
        ("date", Type::Int) => Some(Type::Date),
        ("time-millis", Type::Int) => Some(Type::Time { digits: 3 }),
        ("time-micros", Type::Long) => Some(Type::Time { digits: 6 }),
        ("timestamp-millis", Type::Long) => Some(Type::Timestamp { digits: 3, local: false }),
        ("timestamp-micros", Type::Long) => Some(Type::Timestamp { digits: 6, local: false }),
        ("timestamp-nanos", Type::Long) => Some(Type::Timestamp { digits: 9, local: false }),
        ("local-timestamp-millis", Type::Long) => Some(Type::Timestamp { digits: 3, local: true }),
        ("local-timestamp-micros", Type::Long) => Some(Type::Timestamp { digits: 6, local: true }),
        ("local-timestamp-nanos", Type::Long) => Some(Type::Timestamp { digits: 9, local: true }),
        ("decimal", Type::Bytes) => decimal(None),
        ("decimal", Type::Fixed(size)) if *size <= MOST_DECIMAL_BYTES => decimal(Some(*size)),
        ("uuid", Type::Fixed(16)) => Some(Type::Uuid),
        ("duration", Type::Fixed(12)) => Some(Type::Duration),
        _ => None,
    };
    found.unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved_within_their_namespaces() {
        let schema = r#"{"type": "record", "name": "R", "namespace": "a.b", "fields": [
            {"name": "x", "type": {"type": "fixed", "name": "F", "size": 4}},
            {"name": "y", "type": ["null", "F", "a.b.F"]},
            {"name": "z", "type": {"type": "array", "items": {"type": "F"}}}]}"#;
        let kind = parse(schema.as_bytes()).unwrap();
        let Type::Record(record) = &*kind else { panic!("{kind:?}") };
        assert_eq!(record.name, "a.b.R");
        assert!(matches!(&*record.fields[1].kind, Type::Union(kinds) if kinds.len() == 3));
        assert!(matches!(&*record.fields[2].kind, Type::Array(items) if matches!(**items, Type::Fixed(4))));
    }

    #[test]
    fn a_logical_type_that_does_not_fit_is_left_out() {
        for (schema, expected) in [
            (r#"{"type": "long", "logicalType": "timestamp-micros"}"#, "Timestamp { digits: 6, local: false }"),
            (r#"{"type": "int", "logicalType": "timestamp-micros"}"#, "Int"),
            (
                r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#,
                "Decimal { scale: 2, fixed: None }",
            ),
            (r#"{"type": "bytes", "logicalType": "decimal", "precision": 1, "scale": 2}"#, "Bytes"),
            (r#"{"type": "bytes", "logicalType": "decimal"}"#, "Bytes"),
            (r#"{"type": {"type": "string", "logicalType": "uuid"}}"#, "Text"),
        ] {
            assert_eq!(format!("{:?}", parse(schema.as_bytes()).unwrap()), expected);
        }
    }

    #[test]
    fn i11_types_within_themselves_and_deep_ones_are_refused() {
        let own = r#"{"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}"#;
        assert_eq!(parse(own.as_bytes()).unwrap_err(), "the type N contains itself, which is not read");
        // No definition is deep, but together they are.
        let fields: Vec<String> = (0..100)
            .map(|n| {
                let inner = if n == 0 { "\"null\"".to_owned() } else { format!("\"T{}\"", n - 1) };
                format!(r#"{{"name": "f{n}", "type": {{"type": "record", "name": "T{n}", "fields": [{{"name": "x", "type": {inner}}}]}}}}"#)
            })
            .collect();
        let chain = format!(r#"{{"type": "record", "name": "R", "fields": [{}]}}"#, fields.join(","));
        assert_eq!(parse(chain.as_bytes()).unwrap_err(), "its types are nested deeper than 64");
    }

    #[test]
    fn what_is_no_schema_is_an_error_that_says_so() {
        for schema in [
            "",
            "{}",
            "5",
            "\"nope\"",
            r#"{"type": "array"}"#,
            r#"{"type": "record", "name": "R"}"#,
            r#"{"type": "fixed", "name": "F", "size": -1}"#,
            r#"["null", {"type": "enum", "name": "E", "symbols": [1]}]"#,
        ] {
            assert!(parse(schema.as_bytes()).is_err(), "{schema}");
        }
    }
}
