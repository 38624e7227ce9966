//! A parsed file as a tree: in file order, every part with its place in the text.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::diagnostics::Report;
use crate::syntax;

/// Bytes of the text.
pub(crate) type Span = Range<usize>;

/// Levels of tables and lists. The deepest option is at 6; dotted keys have no limit of their own.
const MAX_DEPTH: usize = 32;

/// A value and where it stands. A table with a header of its own stands at the header.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// A TOML value, as far as options know them.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    /// `None`: beyond 64 bits.
    Integer(Option<i64>),
    Decimal,
    Boolean(bool),
    Date,
    List(Vec<Node>),
    /// In file order.
    Table(Vec<Field>),
}

/// One `key = value`.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

impl Value {
    /// With its article, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Decimal => "a decimal number",
            Self::Boolean(_) => "a boolean",
            Self::Date => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Parses TOML; syntax errors are reported. After an error the tree is what could be understood.
pub(crate) fn parse(text: &str, report: &mut Report) -> Vec<Field> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let fields = table(root.into_inner(), 1, report);
    syntax::report(&errors, text, report);
    fields
}

fn table(table: DeTable<'_>, depth: usize, report: &mut Report) -> Vec<Field> {
    let mut fields: Vec<Field> = table
        .into_iter()
        .map(|(key, value)| Field {
            key_span: key.span(),
            key: key.into_inner().into_owned(),
            node: node(value, depth, report),
        })
        .collect();
    fields.sort_by_key(|field| field.key_span.start);
    fields
}

fn node(value: Spanned<DeValue<'_>>, depth: usize, report: &mut Report) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => Value::Integer(integer(&number)),
        DeValue::Float(_) => Value::Decimal,
        DeValue::Boolean(flag) => Value::Boolean(flag),
        DeValue::Datetime(_) => Value::Date,
        nested if depth == MAX_DEPTH => {
            report.error(span.clone(), "nested too deeply");
            dismantle(nested);
            Value::List(Vec::new())
        }
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| node(item, depth + 1, report)).collect())
        }
        DeValue::Table(fields) => Value::Table(table(fields, depth + 1, report)),
    };
    Node { value, span }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Drops level by level: the recursive drop of `a.a.a.…` could overflow the stack.
fn dismantle(value: DeValue<'_>) {
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            DeValue::Array(items) => rest.extend(items.into_iter().map(Spanned::into_inner)),
            DeValue::Table(fields) => {
                rest.extend(fields.into_iter().map(|(_, value)| value.into_inner()));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<Field> {
        let mut report = Report::default();
        let fields = parse(text, &mut report);
        assert!(!report.has_errors(), "{report:?}");
        fields
    }

    #[test]
    fn fields_stand_in_file_order() {
        let root = fields("b = 1\na = 2\n[pool.z]\n[pool.y.limits]\n[pool.y]\n[pool.x]\n");
        assert_eq!(root.iter().map(|field| &*field.key).collect::<Vec<_>>(), ["b", "a", "pool"]);
        let Value::Table(pools) = &root[2].node.value else { panic!("{root:?}") };
        assert_eq!(pools.iter().map(|field| &*field.key).collect::<Vec<_>>(), ["z", "y", "x"]);
    }

    #[test]
    fn a_table_with_a_header_stands_at_the_header() {
        let text = "[log]\nlevel = \"info\"\n";
        let root = fields(text);
        assert_eq!(&text[root[0].node.span.clone()], "[log]");
        assert_eq!(&text[root[0].key_span.clone()], "log");
    }

    #[test]
    fn integers_of_every_notation() {
        for (text, expected) in [
            ("1_000", Some(1000)),
            ("0x10", Some(16)),
            ("-5", Some(-5)),
            ("99999999999999999999", None),
        ] {
            let root = fields(&format!("a = {text}"));
            let Value::Integer(number) = root[0].node.value else { panic!("{root:?}") };
            assert_eq!(number, expected, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let dotted = format!("{}a = 1", "a.".repeat(200_000));
        let lists = format!("a = {}{}", "[".repeat(70), "]".repeat(70));
        for text in [dotted, lists] {
            let mut report = Report::default();
            parse(&text, &mut report);
            assert!(report.has_errors());
        }
    }
}
