//! Functions of expressions: one row each in a registry.
//!
//! A [`Function`] says how it is called, how its types resolve and how it evaluates; `str.contains` is the row of
//! `col("x").str.contains(…)`. Options (patterns, flags, formats) are constant arguments, read once when the types are
//! resolved; an option left out is null. A new function is a row in the list of its family and a method in Python.

mod absent;
mod format;
mod numeric;
mod pattern;
mod string;
mod temporal;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::typing::{Typed, Value, shortened};
use super::{Expr, Literal};
use crate::dtype::dtype_name;
use crate::error::{Error, Result, closest};

/// A row of the registry.
pub struct Function {
    /// The method: `str.contains`, `round`; or the function of the module: `coalesce`.
    pub name: &'static str,
    /// The fewest arguments, the input included.
    pub least: usize,
    /// The most arguments.
    pub most: usize,
    /// Whether it is a function of the module rather than a method.
    pub module_level: bool,
    resolve: fn(Call<'_>) -> Result<Typed>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// A method with `least` to `most` arguments, the input included.
const fn method(name: &'static str, least: usize, most: usize, resolve: fn(Call<'_>) -> Result<Typed>) -> Function {
    Function { name, least, most, module_level: false, resolve }
}

/// A function of the module.
const fn of_module(name: &'static str, least: usize, most: usize, resolve: fn(Call<'_>) -> Result<Typed>) -> Function {
    Function { name, least, most, module_level: true, resolve }
}

/// Every family.
const FAMILIES: [&[Function]; 5] =
    [absent::FUNCTIONS, numeric::FUNCTIONS, string::FUNCTIONS, pattern::FUNCTIONS, temporal::FUNCTIONS];

/// Every function that there is.
pub fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.into_iter().flatten()
}

/// The function called `name`.
///
/// # Errors
/// [`Error::NotImplemented`] naming it and its nearest neighbour.
pub fn find(name: &str) -> Result<&'static Function> {
    all().find(|f| f.name == name).ok_or_else(|| {
        let names: Vec<&str> = all().map(|f| f.name).collect();
        let hint = closest(name, &names).map(|n| format!(", did you mean `{n}`?")).unwrap_or_default();
        Error::NotImplemented(format!("the function `{name}` is not implemented{hint}"))
    })
}

impl Function {
    /// Refuses a number of arguments that it does not take.
    ///
    /// # Errors
    /// [`Error::Type`] saying how many it takes.
    pub fn check_count(&self, count: usize) -> Result<()> {
        if count < self.least || count > self.most {
            return Err(Error::Type(format!(
                "{}: expected {} to {} arguments (the input included), found {count}",
                self.name, self.least, self.most
            )));
        }
        Ok(())
    }

    /// Settles the types of a call.
    pub(super) fn resolve(&'static self, inputs: Vec<Typed>, whole: &Expr) -> Result<Typed> {
        self.check_count(inputs.len())?;
        (self.resolve)(Call { function: self, inputs, whole })
    }
}

/// A call whose arguments are typed.
struct Call<'a> {
    function: &'static Function,
    inputs: Vec<Typed>,
    whole: &'a Expr,
}

impl Call<'_> {
    /// The call in a message.
    fn what(&self) -> String {
        shortened(self.whole)
    }

    /// The first argument.
    fn input(&self) -> Result<Typed> {
        self.inputs.first().cloned().ok_or_else(|| Error::Type(format!("{}: expected an input", self.function.name)))
    }

    /// The first argument as text.
    fn text_input(&self) -> Result<Typed> {
        let input = self.input()?;
        match crate::dtype::value_type(input.dtype()) {
            DataType::Utf8 => Ok(input),
            DataType::Null => Ok(input.to(&DataType::Utf8, "")),
            other => Err(Error::Schema(format!(
                "`{}`: expected string, found {}; cast it first",
                self.what(),
                dtype_name(other)
            ))),
        }
    }

    /// The first argument as something numeric; booleans are not.
    fn number_input(&self) -> Result<Typed> {
        let input = self.input()?.plain();
        match input.dtype() {
            DataType::Null => Ok(input.to(&DataType::Float64, "")),
            dtype if dtype.is_numeric() => Ok(input),
            other => Err(Error::Schema(format!("`{}`: expected a number, found {}", self.what(), dtype_name(other)))),
        }
    }

    /// An option: the constant at `index`, none if it was left out.
    fn option(&self, index: usize) -> Result<Option<&Literal>> {
        match self.inputs.get(index) {
            None => Ok(None),
            Some(typed) => match typed.literal() {
                Some(Literal::Null) => Ok(None),
                Some(literal) => Ok(Some(literal)),
                None => Err(Error::NotImplemented(format!(
                    "`{}`: argument {index} must be a constant; expressions are not implemented there",
                    self.what()
                ))),
            },
        }
    }

    fn wrong(&self, index: usize, expected: &str, found: &Literal) -> Error {
        Error::Type(format!("`{}`: argument {index}: expected {expected}, found `{found}`", self.what()))
    }

    fn text(&self, index: usize) -> Result<Option<String>> {
        match self.option(index)? {
            None => Ok(None),
            Some(Literal::Text(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(index, "text", other)),
        }
    }

    fn needed_text(&self, index: usize) -> Result<String> {
        self.text(index)?
            .ok_or_else(|| Error::Type(format!("`{}`: argument {index}: expected text, found null", self.what())))
    }

    fn flag(&self, index: usize, default: bool) -> Result<bool> {
        match self.option(index)? {
            None => Ok(default),
            Some(Literal::Bool(v)) => Ok(*v),
            Some(other) => Err(self.wrong(index, "True or False", other)),
        }
    }

    fn integer(&self, index: usize) -> Result<Option<i64>> {
        match self.option(index)? {
            None => Ok(None),
            Some(Literal::Int(v)) => {
                i64::try_from(*v).map(Some).map_err(|_| self.wrong(index, "an integer of 64 bits", &Literal::Int(*v)))
            }
            Some(other) => Err(self.wrong(index, "an integer", other)),
        }
    }

    fn float(&self, index: usize) -> Result<Option<f64>> {
        match self.option(index)? {
            None => Ok(None),
            #[allow(clippy::cast_precision_loss, reason = "an integer option near 2^53 makes no sense")]
            Some(Literal::Int(v)) => Ok(Some(*v as f64)),
            Some(Literal::Float(v)) => Ok(Some(*v)),
            Some(other) => Err(self.wrong(index, "a number", other)),
        }
    }
}

/// A call over the array of its one input.
fn unary(input: Typed, dtype: DataType, f: impl Fn(&ArrayRef) -> Result<ArrayRef> + Send + Sync + 'static) -> Typed {
    let nullable = input.nullable();
    Typed::call(vec![input], dtype, nullable, Arc::new(move |values, _| one(values).and_then(&f)))
}

fn one(values: &[Value]) -> Result<&ArrayRef> {
    values.first().map(Value::array).ok_or_else(|| Error::Schema("an input is missing".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let mut names: Vec<&str> = all().map(|f| f.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for function in all() {
            assert_eq!(find(function.name).expect("in the registry").name, function.name);
            assert!(function.least <= function.most && function.least >= 1);
            assert!(function.check_count(0).is_err());
        }
    }

    #[test]
    fn an_unknown_name_is_not_implemented() {
        let e = find("str.contain").expect_err("a slip");
        assert!(matches!(&e, Error::NotImplemented(m) if m.contains("did you mean `str.contains`?")), "{e}");
    }

    /// Every function meets every type: it answers with the type that it announced, or refuses when it is resolved.
    #[test]
    fn every_function_keeps_its_word_on_every_type() {
        use arrow::array::{Array, RecordBatch, new_empty_array, new_null_array};
        use arrow::datatypes::{Field, Schema};
        let names = [
            "null",
            "bool",
            "int8",
            "int64",
            "uint8",
            "uint64",
            "float16",
            "float32",
            "float64",
            "string",
            "binary",
            "date32",
            "date64",
            "timestamp[s]",
            "timestamp[ns]",
            "timestamp[us, tz=Europe/Berlin]",
            "time32[ms]",
            "time64[ns]",
            "duration[ms]",
            "decimal128(10, 2)",
            "decimal256(50, 2)",
            "list<int64>",
            "struct<a: int64>",
            "dictionary<int8, string>",
            "fixed_size_binary[4]",
            "month_day_nano_interval",
        ];
        let mut answered = 0;
        for name in names {
            let dtype = crate::dtype::parse_dtype(name).expect("a dtype");
            let schema = Arc::new(Schema::new(vec![Field::new("x", dtype.clone(), true)]));
            let zero = dtype.is_numeric().then(|| Literal::Int(0).array_of(&dtype).ok()).flatten();
            let arrays = [Some(new_empty_array(&dtype)), Some(new_null_array(&dtype, 3)), zero];
            for function in all() {
                for extra in [
                    vec![],
                    vec![Expr::lit("a")],
                    vec![Expr::lit(1i64)],
                    vec![Expr::lit("1d")],
                    vec![Expr::lit("a"), Expr::lit("b")],
                ] {
                    let mut args = vec![Expr::col("x")];
                    args.extend(extra);
                    let Ok(expr) = Expr::call(function.name, args) else { continue };
                    let Ok(typed) = crate::expr::resolve(&expr, &schema) else { continue };
                    for array in arrays.iter().flatten() {
                        let batch = RecordBatch::try_new(schema.clone(), vec![array.clone()]).expect("a batch");
                        let Ok(done) = typed.eval(&batch) else {
                            assert!(typed.fallible(), "{expr} on {name} failed though it cannot");
                            continue;
                        };
                        assert_eq!(done.data_type(), typed.dtype(), "{expr} on {name}");
                        assert_eq!(done.len(), array.len(), "{expr} on {name}");
                        assert!(typed.nullable() || done.null_count() == 0, "{expr} on {name}");
                        answered += 1;
                    }
                }
            }
        }
        assert!(answered > 500, "{answered}");
    }
}
