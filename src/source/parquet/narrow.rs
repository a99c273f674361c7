//! Nested columns of which only some leaves are read: `a.b` is field `b` of column `a`.
//!
//! The footer is cut down to the leaves that are wanted, as if the file had no others; whatever reads it then reads
//! less. A column chunk is found by its own offsets, and its levels do not depend on its neighbours, so nothing else
//! changes. A path is one of the file's own (`a.list.element.b`), or leaves out the groups that only make lists and
//! maps what they are (`a.b`). A map keeps its keys. Where a list in the old form of two levels would be taken for
//! something else with fewer leaves, it stays whole.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::ConvertedType;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::nested::is_element;
use crate::error::{Error, Result};

/// A column of which some leaves are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrowed {
    /// Its name.
    pub name: String,
    /// How many leaves are read.
    pub leaves: usize,
    /// How many there are.
    pub of: usize,
}

/// The columns of `schema` that the paths of `wanted` name or lead into, each once, in the order of first mention. A path
/// that is not in it stays as it is, and so does one that is there twice, for whoever selects them to refuse.
pub fn roots(wanted: &[String], schema: &Schema) -> Vec<String> {
    let mut roots: Vec<String> = Vec::with_capacity(wanted.len());
    for (i, path) in wanted.iter().enumerate() {
        let root = root_of(path, schema.fields().iter().map(|field| field.name().as_str())).unwrap_or(path);
        if !roots.iter().any(|known| known == root) || wanted.iter().take(i).any(|known| known == path) {
            roots.push(root.to_owned());
        }
    }
    roots
}

/// The root column among `roots` that `path` names or leads into: the one of that name, else the longest name before
/// a dot.
fn root_of<'a>(path: &str, roots: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    roots.filter(|root| *root == path || within(path, root).is_some()).max_by_key(|root| root.len())
}

/// `footer` and the types of its columns with those leaves left out that no path of `wanted` leads to, in columns that
/// a path leads into; other columns stay whole. A path whose column is not in the file is somebody else's business.
///
/// Costs a walk over the schema, and a copy of what the footer says of the leaves that stay.
///
/// # Errors
/// [`Error::ColumnNotFound`] for a path that ends nowhere.
pub fn narrow(
    footer: ParquetMetaData,
    found: Fields,
    wanted: &[String],
) -> Result<(ParquetMetaData, Fields, Vec<Narrowed>)> {
    let file = footer.file_metadata();
    let descriptor = file.schema_descr();
    let roots = descriptor.root_schema().get_fields();
    let mut keep = vec![false; descriptor.num_columns()];
    for path in wanted {
        let Some(name) = root_of(path, roots.iter().map(|root| root.name())) else { continue };
        let mut first = 0;
        for root in roots {
            let leaves = leaves(root);
            let own = keep.get_mut(first..first + leaves).unwrap_or_default();
            first += leaves;
            if root.name() != name {
                continue;
            }
            match within(path, name) {
                None => own.fill(true),
                Some(rest) if mark(root, rest, own) => {}
                Some(_) => {
                    let mut paths = Vec::new();
                    list(root, name, &mut paths);
                    if paths.is_empty() {
                        paths.extend(roots.iter().map(|root| root.name().to_owned()));
                    }
                    return Err(Error::no_column(path, paths.iter().map(String::as_str)));
                }
            }
        }
    }
    let (mut first, mut narrowed) = (0, Vec::new());
    let mut fields = Vec::with_capacity(roots.len());
    for root in roots {
        let of = leaves(root);
        let own = keep.get_mut(first..first + of).unwrap_or_default();
        first += of;
        fields.push(pruned(root, own));
        let leaves = own.iter().filter(|keep| **keep).count();
        if leaves < of {
            narrowed.push(Narrowed { name: root.name().to_owned(), leaves, of });
        }
    }
    if narrowed.is_empty() {
        return Ok((footer, found, narrowed));
    }
    let root = descriptor.root_schema().get_basic_info().clone();
    let schema = Arc::new(SchemaDescriptor::new(Arc::new(Type::GroupType { basic_info: root, fields })));
    let own = parquet_to_arrow_schema(&schema, None)?;
    let found = found.iter().zip(own.fields()).map(|(all, own)| only(all, own)).collect();
    let orders = file.column_orders().map(|orders| kept(orders, &keep));
    let groups = footer.row_groups().iter().map(|group| {
        RowGroupMetaData::builder(schema.clone())
            .set_num_rows(group.num_rows())
            .set_total_byte_size(group.total_byte_size())
            .set_column_metadata(kept(group.columns(), &keep))
            .build()
    });
    let groups = groups.collect::<Result<_, _>>()?;
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(ToOwned::to_owned),
        file.key_value_metadata().cloned(),
        schema,
        orders,
    );
    Ok((ParquetMetaData::new(file, groups), found, narrowed))
}

/// What is left of `path` within a field called `name`.
fn within<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    path.strip_prefix(name)?.strip_prefix('.')
}

fn kept<T: Clone>(all: &[T], keep: &[bool]) -> Vec<T> {
    all.iter().zip(keep).filter(|(_, keep)| **keep).map(|(one, _)| one.clone()).collect()
}

/// How many leaves `of` has.
fn leaves(of: &Type) -> usize {
    if of.is_primitive() { 1 } else { of.get_fields().iter().map(|field| leaves(field)).sum() }
}

/// What only makes `of` a list or a map: the group that is repeated.
fn repeated(of: &Type) -> Option<&TypePtr> {
    let annotated = matches!(
        of.get_basic_info().converted_type(),
        ConvertedType::LIST | ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE
    );
    match of {
        Type::GroupType { fields, .. } if annotated => match fields.as_slice() {
            [one] if !one.is_primitive() => Some(one),
            _ => None,
        },
        _ => None,
    }
}

/// Marks the leaves of `of` that `path` leads to, whose place among all is theirs in `keep`; whether there are any.
fn mark(of: &Type, path: &str, keep: &mut [bool]) -> bool {
    if of.is_primitive() {
        return false;
    }
    let (mut first, mut any) = (0, false);
    for field in of.get_fields() {
        let leaves = leaves(field);
        let own = keep.get_mut(first..first + leaves).unwrap_or_default();
        first += leaves;
        if field.name() == path {
            own.fill(true);
            any = true;
        } else if let Some(rest) = within(path, field.name()) {
            any |= mark(field, rest, own);
        }
    }
    any || match (repeated(of), repeated(of).map(|group| group.get_fields())) {
        // `list.element` or `key_value` may be left out
        (Some(group), Some([element])) => mark(group, path, keep) || mark(element, path, keep),
        (Some(group), _) => mark(group, path, keep),
        _ => false,
    }
}

/// The paths that lead into `of`, as short as they may be.
fn list(of: &Type, to: &str, paths: &mut Vec<String>) {
    if of.is_primitive() {
        return;
    }
    match (repeated(of), repeated(of).map(|group| group.get_fields())) {
        (Some(_), Some([element])) => list(element, to, paths),
        (Some(group), _) => list(group, to, paths),
        (None, _) => {
            for field in of.get_fields() {
                let path = format!("{to}.{}", field.name());
                list(field, &path, paths);
                paths.push(path);
            }
        }
    }
}

/// `of` with the leaves that `keep` marks, and those without which these would mean something else, which are marked
/// then; all of it where none is.
fn pruned(of: &TypePtr, keep: &mut [bool]) -> TypePtr {
    part(of, keep).unwrap_or_else(|| {
        keep.fill(true);
        of.clone()
    })
}

/// `of` with the leaves that are marked; `None` without any.
fn part(of: &TypePtr, keep: &mut [bool]) -> Option<TypePtr> {
    if !keep.contains(&true) {
        return None;
    }
    let Type::GroupType { basic_info, fields } = of.as_ref() else { return Some(of.clone()) };
    if !keep.contains(&false) {
        return Some(of.clone());
    }
    let mut first = 0;
    let mut each = |field: &TypePtr, whole: bool, keep: &mut [bool]| {
        let leaves = leaves(field);
        let own = keep.get_mut(first..first + leaves).unwrap_or_default();
        first += leaves;
        if whole { Some(pruned(field, own)) } else { part(field, own) }
    };
    let fields: Vec<TypePtr> = match (basic_info.converted_type(), repeated(of), fields.as_slice()) {
        (ConvertedType::LIST, Some(group), _) => {
            let one = part(group, keep)?;
            let (before, after) = (group.get_fields().len(), one.get_fields().len());
            if before > 1 && after == 1 && !is_element(&one, of) {
                keep.fill(true);
                return Some(of.clone());
            }
            vec![one]
        }
        (ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE, Some(entry), _) => {
            let [key, value] = entry.get_fields() else {
                keep.fill(true);
                return Some(of.clone());
            };
            let keys = leaves(key);
            keep.get_mut(..keys)?.fill(true);
            let fields = vec![each(key, true, keep)?, each(value, true, keep)?];
            vec![Arc::new(Type::GroupType { basic_info: entry.get_basic_info().clone(), fields })]
        }
        (ConvertedType::NONE, ..) => fields.iter().filter_map(|field| each(field, false, keep)).collect(),
        _ => {
            keep.fill(true);
            return Some(of.clone());
        }
    };
    Some(Arc::new(Type::GroupType { basic_info: basic_info.clone(), fields }))
}

/// What is left of `all` where its file has only `own`.
fn only(all: &FieldRef, own: &FieldRef) -> FieldRef {
    Arc::new(all.as_ref().clone().with_data_type(only_type(all.data_type(), own.data_type())))
}

fn only_type(all: &DataType, own: &DataType) -> DataType {
    use DataType::{FixedSizeList, LargeList, LargeListView, List, ListView, Map, Struct};
    match (all, own) {
        (Struct(all), Struct(own)) => Struct(
            own.iter()
                .map(|own| {
                    let mut named = all.iter().filter(|all| all.name() == own.name());
                    match (named.next(), named.next()) {
                        (Some(all), None) => only(all, own),
                        _ => own.clone(),
                    }
                })
                .collect(),
        ),
        (List(all), List(own)) => List(only(all, own)),
        (LargeList(all), List(own)) => LargeList(only(all, own)),
        (ListView(all), List(own)) => ListView(only(all, own)),
        (LargeListView(all), List(own)) => LargeListView(only(all, own)),
        (FixedSizeList(all, n), List(own)) => FixedSizeList(only(all, own), *n),
        (Map(all, sorted), Map(own, _)) => Map(only(all, own), *sorted),
        _ => all.clone(),
    }
}

#[cfg(test)]
mod tests {
    use parquet::schema::parser::parse_message_type;
    use parquet::schema::printer::print_schema;

    use super::*;

    /// The schema that is left of `message` for `wanted`, and how many leaves of each narrowed column.
    fn left(message: &str, wanted: &[&str]) -> Result<(String, Vec<(usize, usize)>)> {
        let schema = Arc::new(SchemaDescriptor::new(Arc::new(parse_message_type(message).expect("a schema"))));
        let found = parquet_to_arrow_schema(&schema, None).expect("types").fields().clone();
        let footer = ParquetMetaData::new(FileMetaData::new(1, 0, None, None, schema, None), Vec::new());
        let wanted: Vec<String> = wanted.iter().map(|&path| path.to_owned()).collect();
        let (footer, found, narrowed) = narrow(footer, found, &wanted)?;
        let descriptor = footer.file_metadata().schema_descr();
        assert_eq!(*parquet_to_arrow_schema(descriptor, None).expect("types").fields(), found);
        let mut text = Vec::new();
        print_schema(&mut text, descriptor.root_schema());
        let words = String::from_utf8(text).expect("text").split_whitespace().collect::<Vec<_>>().join(" ");
        Ok((words, narrowed.iter().map(|n| (n.leaves, n.of)).collect()))
    }

    fn same(message: &str) -> String {
        message.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lists_in_the_old_form_stay_what_they_are() {
        // by its name the group is the element, with one field or more
        let avro = "message m { OPTIONAL group l (LIST) { REPEATED group array { \
            REQUIRED INT32 a; REQUIRED INT32 b; } } }";
        let one = "message m { OPTIONAL group l (LIST) { REPEATED group array { REQUIRED INT32 a; } } }";
        assert_eq!(left(avro, &["l.a"]).expect("there"), (same(one), vec![(1, 2)]));
        assert_eq!(left(avro, &["l.array.a"]).expect("there"), (same(one), vec![(1, 2)]));
        // with one field, this would be a list of integers
        let other = "message m { OPTIONAL group l (LIST) { REPEATED group each { \
            REQUIRED INT32 a; REQUIRED INT32 b; REQUIRED INT32 c; } } }";
        assert_eq!(left(other, &["l.a"]).expect("there"), (same(other), vec![]));
        let two = "message m { OPTIONAL group l (LIST) { REPEATED group each { \
            REQUIRED INT32 a; REQUIRED INT32 c; } } }";
        assert_eq!(left(other, &["l.each.c", "l.a"]).expect("there"), (same(two), vec![(2, 3)]));
    }

    #[test]
    fn repeated_fields_and_structs_are_cut_down() {
        let message = "message m { REPEATED group r { REQUIRED INT32 a; REPEATED INT32 b; } \
            OPTIONAL group s { OPTIONAL group t { REQUIRED INT32 a; REQUIRED INT32 b; } OPTIONAL INT32 c; } \
            REQUIRED INT32 i; }";
        let expected = "message m { REPEATED group r { REPEATED INT32 b; } \
            OPTIONAL group s { OPTIONAL group t { REQUIRED INT32 b; } } REQUIRED INT32 i; }";
        assert_eq!(left(message, &["r.b", "s.t.b"]).expect("there"), (same(expected), vec![(1, 2), (1, 3)]));
        assert_eq!(left(message, &["s", "s.c", "r.a", "r.b"]).expect("there"), (same(message), vec![]));
        assert_eq!(left(message, &[]).expect("there"), (same(message), vec![]));
    }

    #[test]
    fn a_map_has_its_keys_and_something_for_values() {
        let message = "message m { OPTIONAL group m (MAP) { REPEATED group key_value { \
            REQUIRED BYTE_ARRAY key (STRING); \
            OPTIONAL group value { REQUIRED INT32 a; REQUIRED INT32 b; } } } }";
        let expected = message.replace("REQUIRED INT32 a; ", "");
        assert_eq!(left(message, &["m.value.b"]).expect("there"), (same(&expected), vec![(2, 3)]));
        assert_eq!(left(message, &["m.key"]).expect("there"), (same(message), vec![]));
    }

    #[test]
    fn a_path_that_ends_nowhere_is_told_where_it_might_go() {
        let message = "message m { OPTIONAL group s { OPTIONAL group l (LIST) { REPEATED group list { \
            OPTIONAL group element { REQUIRED INT32 a; } } } REQUIRED INT32 c; } REQUIRED INT32 i; }";
        let e = left(message, &["s.l.b"]).expect_err("not there");
        assert!(matches!(&e, Error::ColumnNotFound(m) if m.contains("`s.l.a`, `s.l`, `s.c`")), "{e}");
        let e = left(message, &["i.b"]).expect_err("not there");
        assert!(matches!(&e, Error::ColumnNotFound(m) if m.contains("(columns: `s`, `i`)")), "{e}");
        left(message, &["no.b"]).expect("somebody else's business");
    }
}
