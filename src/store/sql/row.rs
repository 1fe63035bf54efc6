//! Rows that came back.

use std::sync::Arc;

use super::super::Error;
use super::value::{Column, Value};

/// The names of the columns of a statement.
pub type Columns = Arc<[Box<str>]>;

/// One row; owns what it holds.
#[derive(Debug, Clone)]
pub struct Row {
    pub(super) columns: Columns,
    pub(super) values: Vec<Value>,
}

impl Row {
    /// The value in `column`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when there is no such column or it holds something of another type.
    pub fn get<'r, T: Column<'r>>(&'r self, column: &str) -> Result<T, Error> {
        let index = self.columns.iter().position(|name| &**name == column);
        index.and_then(|index| self.values.get(index)).and_then(T::read).ok_or_else(|| self.damaged(column))
    }

    /// The value in the column at `index`, from 0.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn at<'r, T: Column<'r>>(&'r self, index: usize) -> Result<T, Error> {
        let name = self.columns.get(index).map_or("?", |name| name);
        self.values.get(index).and_then(T::read).ok_or_else(|| self.damaged(name))
    }

    /// Names the column and the kind of its value, not the value: it may be a person's.
    fn damaged(&self, column: &str) -> Error {
        let index = self.columns.iter().position(|name| &**name == column);
        let kind = match index.and_then(|index| self.values.get(index)) {
            None => "no such column",
            Some(Value::Integer(Some(_))) => "an integer",
            Some(Value::Text(Some(_))) => "text",
            Some(Value::Blob(Some(_))) => "octets",
            Some(_) => "nothing",
        };
        Error::Damaged { what: "column", value: format!("{column}: {kind}") }
    }
}

/// What can be read from a whole row.
pub trait FromRow: Sized {
    /// What callers get: the tuple, or the value when it is the only one.
    type Shown;
    /// Reads the columns in order.
    ///
    /// # Errors
    /// As [`Row::get`].
    fn from_row(row: &Row) -> Result<Self, Error>;
    /// The tuple as callers get it.
    fn shown(self) -> Self::Shown;
}

impl<A: for<'r> Column<'r>> FromRow for (A,) {
    type Shown = A;

    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok((row.at(0)?,))
    }

    fn shown(self) -> A {
        self.0
    }
}

macro_rules! tuple {
    ($($name:ident $index:tt),*) => {
        impl<$($name: for<'r> Column<'r>),*> FromRow for ($($name,)*) {
            type Shown = Self;

            fn from_row(row: &Row) -> Result<Self, Error> {
                Ok(($(row.at::<$name>($index)?,)*))
            }

            fn shown(self) -> Self {
                self
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
