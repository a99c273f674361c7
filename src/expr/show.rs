//! An expression as the user would type it, for `repr` and `explain()`.

use std::fmt;

use super::{Expr, Literal, Operator, Sub};
use crate::dtype::dtype_name;

/// How tightly an expression binds in Python, so that parentheses stand only where they must.
fn binding(expr: &Expr) -> u8 {
    match expr {
        Expr::Binary { op, .. } => match op {
            Operator::Power => 9,
            Operator::Multiply | Operator::Divide | Operator::FloorDivide | Operator::Remainder => 7,
            Operator::Add | Operator::Subtract => 6,
            Operator::And => 5,
            Operator::Xor => 4,
            Operator::Or => 3,
            _ => 2,
        },
        Expr::Not(_) | Expr::Negate(_) => 8,
        _ => 10,
    }
}

fn within(f: &mut fmt::Formatter<'_>, expr: &Expr, least: u8) -> fmt::Result {
    if binding(expr) < least { write!(f, "({expr})") } else { write!(f, "{expr}") }
}

/// What a method is called on: a literal needs `lit(…)`.
fn receiver(f: &mut fmt::Formatter<'_>, expr: &Expr) -> fmt::Result {
    match expr {
        Expr::Literal(literal) => write!(f, "lit({literal})"),
        other => within(f, other, 10),
    }
}

/// A list, in commas.
fn listed<'a>(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = &'a Sub>) -> fmt::Result {
    for (i, item) in items.enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        fmt::Display::fmt(&**item, f)?;
    }
    Ok(())
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => f.write_str("None"),
            Literal::Bool(true) => f.write_str("True"),
            Literal::Bool(false) => f.write_str("False"),
            Literal::Int(v) => write!(f, "{v}"),
            Literal::Float(v) if v.is_finite() => write!(f, "{v:?}"),
            Literal::Float(v) if v.is_nan() => f.write_str("float(\"nan\")"),
            Literal::Float(v) => write!(f, "float(\"{}inf\")", if *v < 0.0 { "-" } else { "" }),
            Literal::Text(v) => write!(f, "{v:?}"),
            Literal::Binary(v) => {
                f.write_str("b\"")?;
                for byte in v {
                    fmt::Display::fmt(&byte.escape_ascii(), f)?;
                }
                f.write_str("\"")
            }
            Literal::Decimal { .. } => write!(f, "Decimal(\"{}\")", self.plain()),
            Literal::Date(_) | Literal::Time(_) | Literal::Timestamp { .. } | Literal::Duration { .. } => {
                let text = self
                    .array()
                    .and_then(|a| super::convert::convert(&a, &arrow::datatypes::DataType::Utf8, false, ""))
                    .map(|a| super::convert::shown(&a, 0))
                    .unwrap_or_default();
                write!(f, "\"{text}\"")
            }
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Column(name) => write!(f, "col({name:?})"),
            Expr::Literal(literal) => write!(f, "{literal}"),
            Expr::Binary { .. } => chain(f, self),
            Expr::Not(input) => {
                f.write_str("~")?;
                within(f, input, 8)
            }
            Expr::Negate(input) => {
                f.write_str("-")?;
                within(f, input, 8)
            }
            Expr::Function { function, args } => {
                if function.module_level {
                    write!(f, "{}(", function.name)?;
                    listed(f, args.iter())?;
                    return f.write_str(")");
                }
                if let Some(input) = args.first() {
                    receiver(f, input)?;
                }
                write!(f, ".{}(", function.name)?;
                // options that were left out are null at the end
                let given = args.iter().rposition(|a| **a != Expr::Literal(Literal::Null)).map_or(0, |i| i + 1);
                listed(f, args.iter().take(given.max(1)).skip(1))?;
                f.write_str(")")
            }
            Expr::Cast { input, to, strict } => {
                receiver(f, input)?;
                write!(f, ".cast(\"{}\"{})", dtype_name(to), if *strict { "" } else { ", strict=False" })
            }
            Expr::Alias { input, name } => {
                receiver(f, input)?;
                write!(f, ".alias({name:?})")
            }
            Expr::IsIn { input, values } => {
                receiver(f, input)?;
                f.write_str(".is_in([")?;
                for (i, value) in values.iter().take(20).enumerate() {
                    write!(f, "{}{value}", if i > 0 { ", " } else { "" })?;
                }
                if values.len() > 20 {
                    write!(f, ", … {} more", values.len() - 20)?;
                }
                f.write_str("])")
            }
            Expr::When { branches, otherwise } => {
                for (i, (condition, value)) in branches.iter().enumerate() {
                    write!(f, "{}when({}).then({})", if i > 0 { "." } else { "" }, **condition, **value)?;
                }
                match otherwise {
                    Some(value) => write!(f, ".otherwise({})", **value),
                    None => Ok(()),
                }
            }
            Expr::Aggregate { aggregate, input: Some(input) } => {
                receiver(f, input)?;
                write!(f, ".{aggregate}")
            }
            Expr::Aggregate { aggregate, input: None } => write!(f, "{aggregate}"),
        }
    }
}

/// A chain of operators, walked along its left side: it may be long.
fn chain(f: &mut fmt::Formatter<'_>, expr: &Expr) -> fmt::Result {
    let mut spine = Vec::new();
    let mut first = expr;
    let mut least = 0;
    while let Expr::Binary { op, left, right } = first {
        let own = binding(first);
        let opens = own < least;
        spine.push((*op, right, own, opens));
        // comparisons do not chain: their left side needs parentheses even if it is one; ** leans to the right
        least = if op.compares() || *op == Operator::Power { own + 1 } else { own };
        first = left;
    }
    for (.., opens) in &spine {
        if *opens {
            f.write_str("(")?;
        }
    }
    match (first, spine.last()) {
        (Expr::Literal(_), _) => receiver(f, first)?,
        _ => within(f, first, least)?,
    }
    for (op, right, own, opens) in spine.iter().rev() {
        write!(f, " {} ", op.symbol())?;
        let least = if *op == Operator::Power { *own } else { own + 1 };
        within(f, right, least)?;
        if *opens {
            f.write_str(")")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_typed() {
        let (a, b) = (Expr::col("a"), Expr::col("b"));
        let small = a.clone().binary(Operator::Lt, Expr::lit(10i64));
        let named = b.clone().binary(Operator::Eq, Expr::lit("x"));
        assert_eq!(small.clone().and(named.clone()).to_string(), r#"(col("a") < 10) & (col("b") == "x")"#);
        assert_eq!(small.clone().and(named).negated().to_string(), r#"~((col("a") < 10) & (col("b") == "x"))"#);
        let sum = a.clone().binary(Operator::Add, b.clone());
        let product = sum.clone().binary(Operator::Multiply, b.clone()).binary(Operator::Subtract, sum);
        assert_eq!(product.to_string(), r#"(col("a") + col("b")) * col("b") - (col("a") + col("b"))"#);
        assert_eq!(
            a.clone().cast(arrow::datatypes::DataType::Int8, false).alias("c").to_string(),
            r#"col("a").cast("int8", strict=False).alias("c")"#
        );
        assert_eq!(Expr::lit(2i64).binary(Operator::Power, a.clone()).to_string(), r#"lit(2) ** col("a")"#);
        let twice = small.binary(Operator::Eq, Expr::lit(true));
        assert_eq!(twice.to_string(), r#"(col("a") < 10) == True"#);
    }
}
