//! Values of statements and columns: integers, text, octets, and the absence of each.

/// A value with its type: a database that asks what kind of nothing it is given gets an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// 64 bits; also times (microseconds) and truth (0, 1).
    Integer(Option<i64>),
    /// Text.
    Text(Option<String>),
    /// Octets.
    Blob(Option<Vec<u8>>),
    /// Nothing, of a column whose type the database did not say.
    Null,
}

/// What can be bound to a statement.
pub trait Bind {
    /// As a value.
    fn value(self) -> Value;
}

macro_rules! bind {
    ($($type:ty => $kind:ident by $convert:expr;)*) => {$(
        impl Bind for $type {
            fn value(self) -> Value {
                let convert: fn($type) -> _ = $convert;
                Value::$kind(Some(convert(self)))
            }
        }

        impl Bind for Option<$type> {
            fn value(self) -> Value {
                let convert: fn($type) -> _ = $convert;
                Value::$kind(self.map(convert))
            }
        }
    )*};
}

bind! {
    i64 => Integer by |n| n;
    u32 => Integer by i64::from;
    bool => Integer by i64::from;
    String => Text by |text| text;
    &str => Text by str::to_owned;
    &String => Text by String::clone;
    Vec<u8> => Blob by |octets| octets;
    &Vec<u8> => Blob by Vec::clone;
    &[u8] => Blob by <[u8]>::to_vec;
}

impl Bind for &Option<String> {
    fn value(self) -> Value {
        Value::Text(self.clone())
    }
}

impl Bind for &Option<Vec<u8>> {
    fn value(self) -> Value {
        Value::Blob(self.clone())
    }
}

/// What can be read from a column.
pub trait Column<'r>: Sized {
    /// The value, if it is of this type.
    fn read(value: &'r Value) -> Option<Self>;
}

impl<'r> Column<'r> for i64 {
    fn read(value: &'r Value) -> Option<Self> {
        match value {
            Value::Integer(number) => *number,
            _ => None,
        }
    }
}

impl<'r> Column<'r> for u32 {
    fn read(value: &'r Value) -> Option<Self> {
        i64::read(value).and_then(|number| Self::try_from(number).ok())
    }
}

impl<'r> Column<'r> for bool {
    fn read(value: &'r Value) -> Option<Self> {
        i64::read(value).map(|number| number != 0)
    }
}

impl<'r> Column<'r> for &'r str {
    fn read(value: &'r Value) -> Option<Self> {
        match value {
            Value::Text(text) => text.as_deref(),
            _ => None,
        }
    }
}

impl<'r> Column<'r> for String {
    fn read(value: &'r Value) -> Option<Self> {
        <&str>::read(value).map(str::to_owned)
    }
}

impl<'r> Column<'r> for &'r [u8] {
    fn read(value: &'r Value) -> Option<Self> {
        match value {
            Value::Blob(octets) => octets.as_deref(),
            _ => None,
        }
    }
}

impl<'r> Column<'r> for Vec<u8> {
    fn read(value: &'r Value) -> Option<Self> {
        <&[u8]>::read(value).map(<[u8]>::to_vec)
    }
}

impl<'r, T: Column<'r>> Column<'r> for Option<T> {
    fn read(value: &'r Value) -> Option<Self> {
        match value {
            Value::Null | Value::Integer(None) | Value::Text(None) | Value::Blob(None) => Some(None),
            other => T::read(other).map(Some),
        }
    }
}
