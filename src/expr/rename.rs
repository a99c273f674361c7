//! The same expression over other column names: what pushing a predicate below a `rename` or `select` takes.

use super::{Expr, Sub};

impl Expr {
    /// The expression with each column under the name that `origin` gives it; `None` where it gives none.
    pub fn renamed(&self, origin: &dyn Fn(&str) -> Option<String>) -> Option<Expr> {
        let sub = |part: &Sub| part.renamed(origin).map(Sub::new);
        Some(match self {
            Expr::Column(name) => Expr::Column(origin(name)?),
            Expr::Literal(_) => self.clone(),
            Expr::Binary { op, left, right } => Expr::Binary { op: *op, left: sub(left)?, right: sub(right)? },
            Expr::Not(input) => Expr::Not(sub(input)?),
            Expr::Negate(input) => Expr::Negate(sub(input)?),
            Expr::Function { function, args } => {
                Expr::Function { function, args: args.iter().map(sub).collect::<Option<_>>()? }
            }
            Expr::Cast { input, to, strict } => Expr::Cast { input: sub(input)?, to: to.clone(), strict: *strict },
            Expr::Alias { input, name } => Expr::Alias { input: sub(input)?, name: name.clone() },
            Expr::IsIn { input, values } => Expr::IsIn { input: sub(input)?, values: values.clone() },
            Expr::When { branches, otherwise } => Expr::When {
                branches: branches.iter().map(|(when, then)| Some((sub(when)?, sub(then)?))).collect::<Option<_>>()?,
                otherwise: match otherwise {
                    Some(otherwise) => Some(sub(otherwise)?),
                    None => None,
                },
            },
            Expr::Aggregate { aggregate, input } => Expr::Aggregate {
                aggregate: *aggregate,
                input: match input {
                    Some(input) => Some(sub(input)?),
                    None => None,
                },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_renamed_or_none() {
        let predicate = Expr::col("a").binary(super::super::Operator::Lt, Expr::col("b")).and(Expr::col("a"));
        let renamed = predicate.renamed(&|name| Some(format!("{name}{name}"))).expect("all are known");
        assert_eq!(renamed.columns(), ["aa", "bb"]);
        assert_eq!(predicate.renamed(&|name| (name == "a").then(|| "x".into())), None);
    }
}
