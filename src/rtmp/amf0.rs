//! AMF0 (Action Message Format 0, Adobe, 2007): the values inside RTMP commands and FLV script tags.
//!
//! Reading is bounded in every direction, because the bytes come from a peer: nesting by `MAX_DEPTH`,
//! the number of values by `MAX_VALUES`, and lengths and counts are believed only as far as bytes are there.

/// Objects in objects: real peers nest three deep. Recursion without a limit overflows the stack at about 12,000.
const MAX_DEPTH: usize = 32;
/// Of one message. A value takes about 60 bytes in memory but may take one on the wire, so 16 MB of
/// nulls would otherwise become a gigabyte.
const MAX_VALUES: usize = 65_536;

mod marker {
    pub const NUMBER: u8 = 0x00;
    pub const BOOLEAN: u8 = 0x01;
    pub const STRING: u8 = 0x02;
    pub const OBJECT: u8 = 0x03;
    pub const NULL: u8 = 0x05;
    pub const UNDEFINED: u8 = 0x06;
    pub const REFERENCE: u8 = 0x07;
    pub const ECMA_ARRAY: u8 = 0x08;
    pub const OBJECT_END: u8 = 0x09;
    pub const STRICT_ARRAY: u8 = 0x0a;
    pub const DATE: u8 = 0x0b;
    pub const LONG_STRING: u8 = 0x0c;
    pub const UNSUPPORTED: u8 = 0x0d;
    pub const XML: u8 = 0x0f;
    pub const TYPED_OBJECT: u8 = 0x10;
}

pub type Properties = Vec<(String, Amf0Value)>;

/// One value. Properties keep the order of the wire; text that is not UTF-8 is read with replacement characters.
#[derive(Clone, Debug, PartialEq)]
pub enum Amf0Value {
    Number(f64),
    Boolean(bool),
    /// Written as a long string when it passes 65,535 bytes.
    String(String),
    Object(Properties),
    Null,
    Undefined,
    /// An index into the complex values already read. Nobody sends it; it is kept so that what follows can be read.
    Reference(u16),
    EcmaArray(Properties),
    StrictArray(Vec<Amf0Value>),
    Date {
        unix_ms: f64,
        /// Minutes from UTC; the specification reserves it and asks for 0.
        zone_min: i16,
    },
    Unsupported,
    Xml(String),
    TypedObject {
        class: String,
        properties: Properties,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Amf0Error {
    #[error("an AMF0 value ends before its time")]
    Truncated,
    #[error("AMF0 values are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("one message holds more than {MAX_VALUES} AMF0 values")]
    TooMany,
    #[error("AMF0 type marker {0:#04x} is not known")]
    UnknownMarker(u8),
}

impl Amf0Value {
    pub fn string(text: impl Into<String>) -> Self {
        Amf0Value::String(text.into())
    }

    pub fn object<const N: usize>(properties: [(&str, Amf0Value); N]) -> Self {
        Amf0Value::Object(named(properties))
    }

    pub fn ecma_array<const N: usize>(properties: [(&str, Amf0Value); N]) -> Self {
        Amf0Value::EcmaArray(named(properties))
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Amf0Value::String(text) | Amf0Value::Xml(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<f64> {
        match self {
            Amf0Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The named properties of anything that has them.
    pub fn properties(&self) -> Option<&[(String, Amf0Value)]> {
        match self {
            Amf0Value::Object(p)
            | Amf0Value::EcmaArray(p)
            | Amf0Value::TypedObject { properties: p, .. } => Some(p),
            _ => None,
        }
    }

    /// The first property of that name.
    pub fn get(&self, name: &str) -> Option<&Amf0Value> {
        self.properties()?
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Appends the value's wire form.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Amf0Value::Number(number) => {
                out.push(marker::NUMBER);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Amf0Value::Boolean(yes) => out.extend_from_slice(&[marker::BOOLEAN, u8::from(*yes)]),
            Amf0Value::String(text) => match u16::try_from(text.len()) {
                Ok(_) => {
                    out.push(marker::STRING);
                    write_short_text(text, out);
                }
                Err(_) => {
                    out.push(marker::LONG_STRING);
                    write_long_text(text, out);
                }
            },
            Amf0Value::Object(properties) => {
                out.push(marker::OBJECT);
                write_properties(properties, out);
            }
            Amf0Value::Null => out.push(marker::NULL),
            Amf0Value::Undefined => out.push(marker::UNDEFINED),
            Amf0Value::Reference(index) => {
                out.push(marker::REFERENCE);
                out.extend_from_slice(&index.to_be_bytes());
            }
            Amf0Value::EcmaArray(properties) => {
                out.push(marker::ECMA_ARRAY);
                write_count(properties.len(), out);
                write_properties(properties, out);
            }
            Amf0Value::StrictArray(values) => {
                out.push(marker::STRICT_ARRAY);
                write_count(values.len(), out);
                values.iter().for_each(|value| value.write(out));
            }
            Amf0Value::Date { unix_ms, zone_min } => {
                out.push(marker::DATE);
                out.extend_from_slice(&unix_ms.to_be_bytes());
                out.extend_from_slice(&zone_min.to_be_bytes());
            }
            Amf0Value::Unsupported => out.push(marker::UNSUPPORTED),
            Amf0Value::Xml(text) => {
                out.push(marker::XML);
                write_long_text(text, out);
            }
            Amf0Value::TypedObject { class, properties } => {
                out.push(marker::TYPED_OBJECT);
                write_short_text(class, out);
                write_properties(properties, out);
            }
        }
    }
}

/// The wire form of `values`, one after the other.
pub fn encode(values: &[Amf0Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| value.write(&mut out));
    out
}

/// All values of a message, and the error at which reading stopped early, if any: a status whose tail
/// is odd still has a code worth reading.
pub fn decode(bytes: &[u8]) -> (Vec<Amf0Value>, Option<Amf0Error>) {
    let mut reader = Reader {
        rest: bytes,
        values_left: MAX_VALUES,
    };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        match reader.value(MAX_DEPTH) {
            Ok(value) => values.push(value),
            Err(error) => return (values, Some(error)),
        }
    }
    (values, None)
}

fn named<const N: usize>(properties: [(&str, Amf0Value); N]) -> Properties {
    properties
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

struct Reader<'a> {
    rest: &'a [u8],
    values_left: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth_left: usize) -> Result<Amf0Value, Amf0Error> {
        let deeper = depth_left.checked_sub(1).ok_or(Amf0Error::TooDeep)?;
        self.values_left = self.values_left.checked_sub(1).ok_or(Amf0Error::TooMany)?;
        let [marker] = self.take()?;
        Ok(match marker {
            marker::NUMBER => Amf0Value::Number(f64::from_be_bytes(self.take()?)),
            marker::BOOLEAN => Amf0Value::Boolean(self.take::<1>()? != [0]),
            marker::STRING => Amf0Value::String(self.short_text()?),
            marker::OBJECT => Amf0Value::Object(self.properties(deeper)?),
            marker::NULL => Amf0Value::Null,
            marker::UNDEFINED => Amf0Value::Undefined,
            marker::REFERENCE => Amf0Value::Reference(u16::from_be_bytes(self.take()?)),
            marker::ECMA_ARRAY => {
                // Only a hint: writers give 0 or one too many, and the end marker decides.
                let _count: [u8; 4] = self.take()?;
                Amf0Value::EcmaArray(self.properties(deeper)?)
            }
            marker::STRICT_ARRAY => {
                let count = u32::from_be_bytes(self.take()?);
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(deeper)?);
                }
                Amf0Value::StrictArray(values)
            }
            marker::DATE => Amf0Value::Date {
                unix_ms: f64::from_be_bytes(self.take()?),
                zone_min: i16::from_be_bytes(self.take()?),
            },
            marker::LONG_STRING => Amf0Value::String(self.long_text()?),
            marker::UNSUPPORTED => Amf0Value::Unsupported,
            marker::XML => Amf0Value::Xml(self.long_text()?),
            marker::TYPED_OBJECT => Amf0Value::TypedObject {
                class: self.short_text()?,
                properties: self.properties(deeper)?,
            },
            other => return Err(Amf0Error::UnknownMarker(other)),
        })
    }

    fn properties(&mut self, depth_left: usize) -> Result<Properties, Amf0Error> {
        let mut properties = Vec::new();
        loop {
            let key = self.short_text()?;
            if key.is_empty() && self.rest.first() == Some(&marker::OBJECT_END) {
                self.rest = &self.rest[1..];
                return Ok(properties);
            }
            properties.push((key, self.value(depth_left)?));
        }
    }

    fn short_text(&mut self) -> Result<String, Amf0Error> {
        let len = u16::from_be_bytes(self.take()?);
        self.text(usize::from(len))
    }

    fn long_text(&mut self) -> Result<String, Amf0Error> {
        let len = u32::from_be_bytes(self.take()?);
        self.text(usize::try_from(len).map_err(|_| Amf0Error::Truncated)?)
    }

    fn text(&mut self, len: usize) -> Result<String, Amf0Error> {
        let (text, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(Amf0Error::Truncated)?;
        self.rest = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Amf0Error> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(Amf0Error::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

fn write_properties(properties: &[(String, Amf0Value)], out: &mut Vec<u8>) {
    for (key, value) in properties {
        write_short_text(key, out);
        value.write(out);
    }
    out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
}

/// A name has no long form on the wire: what passes 65,535 bytes is cut.
fn write_short_text(text: &str, out: &mut Vec<u8>) {
    let len = text.floor_char_boundary(usize::from(u16::MAX));
    out.extend_from_slice(&(len as u16).to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..len]);
}

/// 4 GiB can't occur: a message ends at 16 MiB, and so does everything that is put into one.
fn write_long_text(text: &str, out: &mut Vec<u8>) {
    write_count(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Amf0Value> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(|n| Amf0Value::Number(f64::from(n))),
            any::<bool>().prop_map(Amf0Value::Boolean),
            ".{0,20}".prop_map(Amf0Value::String),
            Just(Amf0Value::Null),
            Just(Amf0Value::Undefined),
            Just(Amf0Value::Unsupported),
            any::<u16>().prop_map(Amf0Value::Reference),
            ".{0,20}".prop_map(Amf0Value::Xml),
            (any::<i32>(), any::<i16>()).prop_map(|(ms, zone_min)| Amf0Value::Date {
                unix_ms: f64::from(ms),
                zone_min
            }),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            let properties = prop::collection::vec((".{0,8}", inner.clone()), 0..8);
            prop_oneof![
                properties.clone().prop_map(Amf0Value::Object),
                properties.clone().prop_map(Amf0Value::EcmaArray),
                (".{0,8}", properties)
                    .prop_map(|(class, properties)| Amf0Value::TypedObject { class, properties }),
                prop::collection::vec(inner, 0..8).prop_map(Amf0Value::StrictArray),
            ]
        })
    }

    proptest! {
        #[test]
        fn round_trips(values in prop::collection::vec(any_value(), 0..6)) {
            prop_assert_eq!(decode(&encode(&values)), (values, None));
        }

        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn any_cut_is_safe(value in any_value(), keep in 0.0f64..1.0) {
            let bytes = encode(&[value]);
            let _ = decode(&bytes[..(bytes.len() as f64 * keep) as usize]);
        }
    }

    #[test]
    fn nesting_of_12_000_is_an_error_and_not_an_abort() {
        let mut bytes = Vec::new();
        for _ in 0..12_000 {
            bytes.extend_from_slice(&[marker::OBJECT, 0, 1, b'a']);
        }
        assert_eq!(decode(&bytes), (vec![], Some(Amf0Error::TooDeep)));
        let arrays = [marker::STRICT_ARRAY, 0, 0, 0, 1].repeat(12_000);
        assert_eq!(decode(&arrays), (vec![], Some(Amf0Error::TooDeep)));
    }

    #[test]
    fn a_16_mb_message_of_nulls_is_bounded() {
        let (values, error) = decode(&vec![marker::NULL; 16_000_000]);
        assert_eq!(values.len(), MAX_VALUES);
        assert_eq!(error, Some(Amf0Error::TooMany));
    }

    #[test]
    fn counts_and_lengths_are_not_believed() {
        let cases: [&[u8]; 4] = [
            &[marker::STRICT_ARRAY, 0xff, 0xff, 0xff, 0xff],
            &[marker::LONG_STRING, 0xff, 0xff, 0xff, 0xff, b'x'],
            &[marker::ECMA_ARRAY, 0xff, 0xff, 0xff, 0xff],
            &[marker::STRING, 0xff, 0xff, b'x'],
        ];
        for bytes in cases {
            assert_eq!(decode(bytes), (vec![], Some(Amf0Error::Truncated)));
        }
    }

    #[test]
    fn what_was_read_before_an_error_is_kept() {
        let mut bytes = encode(&[Amf0Value::string("onStatus"), Amf0Value::Number(0.0)]);
        bytes.push(0x11);
        let (values, error) = decode(&bytes);
        assert_eq!(values[0].as_str(), Some("onStatus"));
        assert_eq!(
            error.unwrap().to_string(),
            "AMF0 type marker 0x11 is not known"
        );
    }

    #[test]
    fn text_past_65_535_bytes_is_written_long() {
        let value = Amf0Value::String("é".repeat(40_000));
        let bytes = encode(std::slice::from_ref(&value));
        assert_eq!(bytes[0], marker::LONG_STRING);
        assert_eq!(decode(&bytes), (vec![value], None));
    }

    #[test]
    fn an_empty_name_is_not_the_end() {
        let value = Amf0Value::object([("", Amf0Value::Null), ("b", Amf0Value::Boolean(true))]);
        assert_eq!(
            decode(&encode(std::slice::from_ref(&value))),
            (vec![value], None)
        );
    }
}
