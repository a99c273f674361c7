//! The tree of a nested column: which lists and groups its leaves are in, and what each becomes in Arrow.
//!
//! How groups of a Parquet schema stand for lists and maps has changed over time; the rules are the format's
//! (`LogicalTypes.md`, "Lists" and "Maps", with "Backward-compatibility rules"), as the crate reads them, which named the
//! types that are announced. Where these do not fit the file's own groups there is no shape, and the crate decodes.

use arrow::datatypes::{DataType, FieldRef, Fields};
use parquet::basic::{ConvertedType, LogicalType, Repetition};
use parquet::schema::types::Type;

use super::depths::Depth;

/// The highest level that is read: deeper columns have no use for speed.
const HIGHEST: usize = 60;

/// What a part of a column becomes. What is said of a list or a group by the levels of several leaves is taken from the first.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape {
    /// Values.
    Leaf {
        /// Which of the column's leaves.
        leaf: usize,
    },
    /// A struct.
    Group {
        /// Its first leaf.
        leaf: usize,
        /// Its place among the groups that this one tells of.
        place: usize,
        /// What its children are called.
        fields: Fields,
        /// What is in it.
        children: Vec<Shape>,
    },
    /// A list or a map.
    List {
        /// Its first leaf.
        leaf: usize,
        /// Its place among the lists that this one tells of.
        place: usize,
        /// Its type.
        to: DataType,
        /// What its elements are.
        item: Box<Shape>,
    },
}

/// A leaf, and what its levels tell.
#[derive(Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What it is announced as.
    pub to: DataType,
    /// The definition level of its slots, within 0, 1, … lists.
    pub least: Vec<usize>,
    /// The definition level of its values.
    pub highest: usize,
    /// The lists of which it is the first leaf.
    pub lists: Vec<Depth>,
    /// The groups of which it is the first leaf.
    pub groups: Vec<Depth>,
}

/// The shape of root column `column`, announced as `to`, and its leaves; `None` where only the crate knows it.
pub fn shape(column: &Type, to: &DataType) -> Option<(Shape, Vec<Leaf>)> {
    let mut walk = Walk { leaves: Vec::new(), least: vec![0], lists: Vec::new(), groups: Vec::new() };
    let shape = walk.field(column, to, 0)?;
    Some((shape, walk.leaves))
}

struct Walk {
    leaves: Vec<Leaf>,
    least: Vec<usize>,
    /// What the next leaf is the first one of.
    lists: Vec<Depth>,
    groups: Vec<Depth>,
}

impl Walk {
    /// A field of a group that is there from definition level `there` on.
    fn field(&mut self, of: &Type, to: &DataType, there: usize) -> Option<Shape> {
        match repetition(of) {
            Repetition::REQUIRED => self.content(of, to, there),
            Repetition::OPTIONAL => self.content(of, to, there + 1),
            // a list that was never called one: neither it nor its elements are null
            Repetition::REPEATED => self.list(to, there, |walk, item, there| walk.content(of, item, there)),
        }
    }

    /// A field without its repetition, there from definition level `there` on.
    fn content(&mut self, of: &Type, to: &DataType, there: usize) -> Option<Shape> {
        if there > HIGHEST {
            return None;
        }
        if of.is_primitive() {
            let (lists, groups) = (std::mem::take(&mut self.lists), std::mem::take(&mut self.groups));
            self.leaves.push(Leaf { to: to.clone(), least: self.least.clone(), highest: there, lists, groups });
            return Some(Shape::Leaf { leaf: self.leaves.len() - 1 });
        }
        let (converted, fields) = (of.get_basic_info().converted_type(), of.get_fields());
        match (converted, fields) {
            (ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE, [entry])
                if !entry.is_primitive() && entry.get_fields().len() == 2 =>
            {
                let DataType::Map(..) = to else { return None };
                let repeats = |field: &Type| repetition(field) == Repetition::REPEATED;
                if !repeats(entry) || entry.get_fields().iter().any(|field| repeats(field)) {
                    return None;
                }
                self.list(to, there, |walk, item, there| walk.group(entry, item, there))
            }
            (ConvertedType::LIST | ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE, [repeated]) => {
                if repetition(repeated) != Repetition::REPEATED || matches!(to, DataType::Map(..)) {
                    return None;
                }
                self.list(to, there, |walk, item, there| {
                    if repeated.is_primitive() {
                        return walk.content(repeated, item, there);
                    }
                    match repeated.get_fields() {
                        [element] if !is_element(repeated, of) => walk.field(element, item, there),
                        _ => walk.group(repeated, item, there),
                    }
                })
            }
            (ConvertedType::LIST | ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE, _) => None,
            _ => self.group(of, to, there),
        }
    }

    /// A list, there from definition level `there` on, and its elements, of which `item` is given the type and the level.
    fn list(
        &mut self,
        to: &DataType,
        there: usize,
        item: impl FnOnce(&mut Self, &DataType, usize) -> Option<Shape>,
    ) -> Option<Shape> {
        let element: &FieldRef = match to {
            DataType::List(element) | DataType::LargeList(element) | DataType::Map(element, _) => element,
            DataType::FixedSizeList(element, 1..) => element,
            _ => return None,
        };
        let (leaf, place) = (self.leaves.len(), self.lists.len());
        self.lists.push(Depth { lists: self.least.len() - 1, there });
        self.least.push(there + 1);
        let item = Box::new(item(self, element.data_type(), there + 1)?);
        self.least.pop();
        Some(Shape::List { leaf, place, to: to.clone(), item })
    }

    /// A group that is a struct, there from definition level `there` on.
    fn group(&mut self, of: &Type, to: &DataType, there: usize) -> Option<Shape> {
        let DataType::Struct(fields) = to else { return None };
        let own = of.get_fields();
        if own.is_empty() || own.len() != fields.len() {
            return None;
        }
        let (leaf, place) = (self.leaves.len(), self.groups.len());
        self.groups.push(Depth { lists: self.least.len() - 1, there });
        let children: Option<_> =
            own.iter().zip(fields).map(|(own, to)| self.field(own, to.data_type(), there)).collect();
        Some(Shape::Group { leaf, place, fields: fields.clone(), children: children? })
    }
}

fn repetition(of: &Type) -> Repetition {
    let info = of.get_basic_info();
    if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED }
}

/// Whether the `repeated` group of `list`, which has one field, is itself the element, as some writers had it once.
pub fn is_element(repeated: &Type, list: &Type) -> bool {
    let info = repeated.get_basic_info();
    let annotated = match info.logical_type_ref() {
        Some(logical) => *logical == LogicalType::List,
        None => info.converted_type() == ConvertedType::LIST,
    };
    let again = repeated.get_fields().iter().any(|field| repetition(field) == Repetition::REPEATED);
    !annotated && !again && (repeated.name() == "array" || repeated.name() == format!("{}_tuple", list.name()))
}
