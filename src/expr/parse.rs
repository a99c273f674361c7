//! Text predicates: `filter("fare < 10 and zone like 'A%'")`.
//!
//! The `sqlparser` crate reads the text; what it gives becomes the [`Expr`] that the operators would have made, so that a
//! plan does not know which of the two was written. Only what a predicate over one row needs is taken: comparisons,
//! `and or not`, `in`, `between`, `like`, `is [not] null`, arithmetic, and constants. Errors point at the place.

use regex::escape;
use sqlparser::ast::{BinaryOperator, Expr as Sql, Spanned, UnaryOperator, Value as SqlValue};
use sqlparser::dialect::Dialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, TokenizerError, Whitespace};

use super::literal::Literal;
use super::{Expr, Operator, Sub};
use crate::error::{Error, Result};

/// Nesting of parentheses, `not` and minus signs that is taken: each level costs the parser up to 80 KiB of stack.
const MAX_NESTING: usize = 16;
/// Operators and keywords that are taken, which bounds how deep a chain of them leans.
const MAX_OPERATORS: usize = 1_000;
/// Bytes of text that are taken: room for long lists.
const MAX_BYTES: usize = 1 << 20;

/// The words and marks of text predicates: names bare or in double quotes, text in single quotes.
#[derive(Debug)]
struct Predicates;

impl Dialect for Predicates {
    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '"'
    }

    fn is_identifier_start(&self, c: char) -> bool {
        c.is_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_'
    }
}

/// The expression that `text` stands for.
///
/// # Errors
/// [`Error::Value`] with the column, an excerpt and a caret where the text is no predicate; [`Error::NotImplemented`]
/// is not used: what is not listed is refused.
pub fn parse_predicate(text: &str) -> Result<Expr> {
    let source = Source { text };
    if text.len() > MAX_BYTES {
        return Err(Error::Value(format!("the predicate has {} bytes, at most {MAX_BYTES} are taken", text.len())));
    }
    let tokens = source.tokens()?;
    let last = tokens.iter().rev().find(|t| !matches!(t.token, Token::EOF | Token::Whitespace(_)));
    if last.is_none() {
        return Err(Error::Value("expected a predicate such as `fare < 10`, found nothing".into()));
    }
    let mut parser = Parser::new(&Predicates).with_recursion_limit(MAX_NESTING + 2).with_tokens_with_locations(tokens);
    let sql = parser.parse_expr().map_err(|e| source.parser_error(e))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(source.error(next.span.start, &format!("expected `and`, `or` or the end, found `{}`", next.token)));
    }
    let expr = source.expr(&sql)?;
    expr.check_extent()?;
    Ok(expr)
}

/// The text, for errors that point into it.
struct Source<'a> {
    text: &'a str,
}

impl Source<'_> {
    /// The tokens, refused where they would nest or lean too far.
    fn tokens(&self) -> Result<Vec<TokenWithSpan>> {
        let tokens = Tokenizer::new(&Predicates, self.text)
            .tokenize_with_location()
            .map_err(|TokenizerError { message, location }| self.error(location, &lowered(&message)))?;
        let (mut nesting, mut operators) = (0usize, 0usize);
        for token in &tokens {
            match &token.token {
                Token::LParen | Token::LBracket | Token::LBrace => nesting += 1,
                Token::RParen | Token::RBracket | Token::RBrace => nesting = nesting.saturating_sub(1),
                Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)) => {
                    let message = "found a comment; for two minus signs put a space between them";
                    return Err(self.error(token.span.start, message));
                }
                Token::Whitespace(_) | Token::Comma | Token::Number(..) | Token::SingleQuotedString(_) | Token::EOF => {
                }
                Token::Word(w) if w.keyword == sqlparser::keywords::Keyword::NoKeyword => {}
                // a fragment such as `x.y` or a comment is refused later; everything else can nest
                _ => operators += 1,
            }
            if nesting > MAX_NESTING {
                return Err(
                    self.error(token.span.start, &format!("more than {MAX_NESTING} parentheses inside one another"))
                );
            }
            if operators > MAX_OPERATORS {
                let message = format!(
                    "more than {MAX_OPERATORS} operators; use `in (…)` for many values, or several filter() calls"
                );
                return Err(self.error(token.span.start, &message));
            }
        }
        Ok(tokens)
    }

    /// An error that points at a place: its line and column, the line, a caret.
    fn error(&self, at: Location, message: &str) -> Error {
        // line 0 is sqlparser's word for "nowhere"
        let Some(line) =
            usize::try_from(at.line).ok().and_then(|n| n.checked_sub(1)).and_then(|n| self.text.split('\n').nth(n))
        else {
            return Error::Value(format!("predicate `{}`: {message}", super::convert::cut(self.text)));
        };
        let column = usize::try_from(at.column).unwrap_or(1).max(1);
        // an excerpt of 60 characters around the place
        let from = (column - 1).saturating_sub(40);
        let excerpt: String = line.chars().skip(from).take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let lead = if from > 0 { "…" } else { "" };
        let tail = if line.chars().count() > from + 60 { "…" } else { "" };
        let caret = " ".repeat(column - 1 - from + lead.chars().count());
        let place = if self.text.contains('\n') {
            format!("line {}, column {column}", at.line)
        } else {
            format!("column {column}")
        };
        Error::Value(format!("predicate, {place}: {message}\n  {lead}{excerpt}{tail}\n  {caret}^"))
    }

    fn end(&self) -> Location {
        let line = self.text.split('\n').count();
        let last = self.text.rsplit('\n').next().unwrap_or("");
        Location { line: line as u64, column: last.chars().count() as u64 + 1 }
    }

    fn parser_error(&self, error: ParserError) -> Error {
        match error {
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => {
                // "Expected: …, found: … at Line: 1, Column: 7"
                let (what, place) = match message.rsplit_once(" at Line: ") {
                    Some((what, place)) => (what, place.split_once(", Column: ")),
                    None => (message.as_str(), None),
                };
                let at = place
                    .and_then(|(l, c)| Some(Location { line: l.trim().parse().ok()?, column: c.trim().parse().ok()? }));
                let at = at.filter(|l| l.line > 0).unwrap_or_else(|| self.end());
                self.error(at, &lowered(what).replace("found: EOF", "found the end"))
            }
            ParserError::RecursionLimitExceeded => Error::Value(format!(
                "the predicate nests deeper than {MAX_NESTING} levels; use several filter() calls"
            )),
        }
    }

    fn refused(&self, sql: &Sql, what: &str) -> Error {
        let message = format!(
            "{what} {} not part of a text predicate; use col() expressions",
            if what.ends_with('s') { "are" } else { "is" }
        );
        self.error(start(sql), &message)
    }

    /// The recursive part: nesting is bounded by the tokens, chains are walked along their left side.
    fn expr(&self, sql: &Sql) -> Result<Expr> {
        let mut spine = Vec::new();
        let mut first = sql;
        while let Sql::BinaryOp { left, op, right } = first {
            spine.push((op, right, first));
            first = left;
        }
        let mut left = self.single(first)?;
        while let Some((op, right, whole)) = spine.pop() {
            let op = match op {
                BinaryOperator::Plus => Operator::Add,
                BinaryOperator::Minus => Operator::Subtract,
                BinaryOperator::Multiply => Operator::Multiply,
                BinaryOperator::Divide => Operator::Divide,
                BinaryOperator::Modulo => Operator::Remainder,
                BinaryOperator::Eq => Operator::Eq,
                BinaryOperator::NotEq => Operator::NotEq,
                BinaryOperator::Lt => Operator::Lt,
                BinaryOperator::LtEq => Operator::LtEq,
                BinaryOperator::Gt => Operator::Gt,
                BinaryOperator::GtEq => Operator::GtEq,
                BinaryOperator::And => Operator::And,
                BinaryOperator::Or => Operator::Or,
                other => return Err(self.refused(whole, &format!("the operator `{other}`"))),
            };
            left = left.binary(op, self.expr(right)?);
        }
        Ok(left)
    }

    #[inline(never)]
    fn single(&self, sql: &Sql) -> Result<Expr> {
        let not = |negated: bool, expr: Expr| if negated { expr.negated() } else { expr };
        match sql {
            Sql::Identifier(name) => Ok(Expr::col(&name.value)),
            Sql::Value(value) => self.value(&value.value, sql).map(Expr::Literal),
            Sql::Nested(inner) => self.expr(inner),
            Sql::UnaryOp { op: UnaryOperator::Not, expr } => Ok(self.expr(expr)?.negated()),
            Sql::UnaryOp { op: UnaryOperator::Plus, expr } => self.expr(expr),
            Sql::UnaryOp { op: UnaryOperator::Minus, expr } => Ok(match self.expr(expr)? {
                Expr::Literal(Literal::Int(v)) => Expr::Literal(Literal::Int(-v)),
                Expr::Literal(Literal::Float(v)) => Expr::Literal(Literal::Float(-v)),
                other => Expr::Negate(other.into()),
            }),
            Sql::IsNull(inner) => Expr::call("is_null", vec![self.expr(inner)?]),
            Sql::IsNotNull(inner) => Expr::call("is_not_null", vec![self.expr(inner)?]),
            Sql::Between { expr, negated, low, high } => {
                Ok(not(*negated, self.expr(expr)?.between(self.expr(low)?, self.expr(high)?, "both")?))
            }
            Sql::InList { expr, list, negated } => {
                let mut values = Vec::with_capacity(list.len());
                for item in list {
                    match self.expr(item)? {
                        Expr::Literal(literal) => values.push(literal),
                        _ => return Err(self.error(start(item), "expected a constant in the list of `in`")),
                    }
                }
                Ok(not(*negated, Expr::IsIn { input: Sub::new(self.expr(expr)?), values }))
            }
            Sql::Like { negated, any: false, expr, pattern, escape_char: None } => {
                let Sql::Value(value) = pattern.as_ref() else {
                    return Err(self.error(start(pattern), "expected a 'pattern' after `like`"));
                };
                let Literal::Text(text) = self.value(&value.value, pattern)? else {
                    return Err(self.error(start(pattern), "expected a 'pattern' after `like`"));
                };
                Ok(not(*negated, like(self.expr(expr)?, &text)?))
            }
            Sql::Like { escape_char: Some(_), .. } => Err(self.refused(sql, "`escape`")),
            Sql::Function(f) => Err(self.refused(sql, &format!("the function `{}`", f.name))),
            Sql::Subquery(_) | Sql::InSubquery { .. } | Sql::Exists { .. } => Err(self.refused(sql, "a subquery")),
            Sql::CompoundIdentifier(parts) => {
                let name = parts.iter().map(|p| p.value.as_str()).collect::<Vec<_>>().join(".");
                Err(self.error(
                    start(sql),
                    &format!("expected a column, found `{name}`; put a name with dots in double quotes"),
                ))
            }
            Sql::UnaryOp { op, .. } => Err(self.refused(sql, &format!("the operator `{op}`"))),
            Sql::TypedString(_) => Err(self.error(
                start(sql),
                "expected an operator after the name; a date is written as plain text: day < '2024-01-31'",
            )),
            other => {
                let shown: String = other.to_string().chars().take(40).collect();
                Err(self.refused(other, &format!("`{shown}`")))
            }
        }
    }

    fn value(&self, value: &SqlValue, sql: &Sql) -> Result<Literal> {
        Ok(match value {
            SqlValue::Null => Literal::Null,
            SqlValue::Boolean(v) => Literal::Bool(*v),
            SqlValue::SingleQuotedString(text) => Literal::Text(text.clone()),
            SqlValue::Number(text, _) => number(text).ok_or_else(|| {
                self.error(
                    start(sql),
                    &format!("the number `{text}` does not fit 64 bits; write it with a decimal point"),
                )
            })?,
            other => return Err(self.refused(sql, &format!("`{other}`"))),
        })
    }
}

/// `10` is an integer of 64 bits, `10.5` and `1e3` are floats.
fn number(text: &str) -> Option<Literal> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        // -9223372036854775808 is written with a minus: one beyond is let through, and refused where it is used
        return text.parse::<i128>().ok().filter(|v| u64::try_from(*v).is_ok()).map(Literal::Int);
    }
    text.parse::<f64>().ok().filter(|v| v.is_finite()).map(Literal::Float)
}

/// Where an expression begins.
fn start(sql: &Sql) -> Location {
    sql.span().start
}

/// The parser's message in our tone.
fn lowered(message: &str) -> String {
    let message = message.replace("Expected: ", "expected ");
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => message,
    }
}

/// `like`: `%` is any text, `_` one character. The simple shapes become what they mean, which prunes and runs faster.
fn like(input: Expr, pattern: &str) -> Result<Expr> {
    let plain = |part: &str| !part.contains(['%', '_']);
    let inner = pattern.strip_prefix('%').and_then(|p| p.strip_suffix('%'));
    match (pattern.strip_suffix('%'), pattern.strip_prefix('%'), inner) {
        _ if plain(pattern) => Ok(input.binary(Operator::Eq, Expr::lit(pattern))),
        (Some(start), _, _) if plain(start) => Expr::call("str.starts_with", vec![input, Expr::lit(start)]),
        (_, Some(end), _) if plain(end) => Expr::call("str.ends_with", vec![input, Expr::lit(end)]),
        (_, _, Some(part)) if plain(part) => Expr::call("str.contains", vec![input, Expr::lit(part), Expr::lit(true)]),
        _ => {
            let mut regex = String::from("(?s)^");
            let mut rest = String::new();
            for c in pattern.chars() {
                if c == '%' || c == '_' {
                    regex.push_str(&escape(&rest));
                    rest.clear();
                    regex.push_str(if c == '%' { ".*" } else { "." });
                } else {
                    rest.push(c);
                }
            }
            regex.push_str(&escape(&rest));
            regex.push('$');
            Expr::call("str.contains", vec![input, Expr::lit(regex)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse_predicate(text) {
            Ok(expr) => expr.to_string(),
            Err(e) => panic!("{text}: {e}"),
        }
    }

    fn error(text: &str) -> String {
        match parse_predicate(text) {
            Ok(expr) => panic!("{text} is {expr}"),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn the_same_expression_as_the_operators() {
        let fare = Expr::col("fare").binary(Operator::Lt, Expr::lit(10i64));
        assert_eq!(parse_predicate("fare < 10").expect("parses"), fare);
        for (text, expr) in [
            ("fare < 10 and zone like 'A%'", r#"(col("fare") < 10) & col("zone").str.starts_with("A")"#),
            ("a = 1 or b <> 2 and not c", r#"(col("a") == 1) | (col("b") != 2) & ~col("c")"#),
            ("a == 1.5 AND b != 'x''y'", r#"(col("a") == 1.5) & (col("b") != "x'y")"#),
            ("not a = 1", r#"~(col("a") == 1)"#),
            ("a in (1, -2, null)", r#"col("a").is_in([1, -2, None])"#),
            ("a not in ('x')", r#"~col("a").is_in(["x"])"#),
            ("a between 1 and 2 + 3 and b", r#"(col("a") >= 1) & (col("a") <= lit(2) + 3) & col("b")"#),
            ("a not between 1 and 2", r#"~((col("a") >= 1) & (col("a") <= 2))"#),
            ("a is null or \"Total Fare\" is not null", r#"col("a").is_null() | col("Total Fare").is_not_null()"#),
            ("a * (b - 1) / 2 % 3 >= -1e3", r#"col("a") * (col("b") - 1) / 2 % 3 >= -1000.0"#),
            ("-a < 0", r#"-col("a") < 0"#),
            ("flag = true", r#"col("flag") == True"#),
            ("z like 'A'", r#"col("z") == "A""#),
            ("z like '%A'", r#"col("z").str.ends_with("A")"#),
            ("z like '%A%'", r#"col("z").str.contains("A", True)"#),
            ("z not like 'A_%.'", r#"~col("z").str.contains("(?s)^A..*\\.$")"#),
            ("straße = 'ä'", r#"col("straße") == "ä""#),
            ("date < '2024-01-31'", r#"col("date") < "2024-01-31""#),
            (
                "time > 1 and value < 2 and year = 3 and timestamp = 4",
                r#"(col("time") > 1) & (col("value") < 2) & (col("year") == 3) & (col("timestamp") == 4)"#,
            ),
            ("a = 18446744073709551615", r#"col("a") == 18446744073709551615"#),
        ] {
            assert_eq!(shown(text), expr, "{text}");
        }
    }

    #[test]
    fn errors_point_at_the_place() {
        assert_eq!(
            error("fare < 10 and upper(zone) = 'A'"),
            "predicate, column 15: the function `upper` is not part of a text predicate; use col() expressions\n  \
             fare < 10 and upper(zone) = 'A'\n                ^"
        );
        assert_eq!(error("fare <"), "predicate, column 7: expected an expression, found the end\n  fare <\n        ^");
        assert_eq!(
            error("a = 1 b"),
            "predicate, column 7: expected `and`, `or` or the end, found `b`\n  a = 1 b\n        ^"
        );
        assert!(error("a =\n 'x").contains("line 2, column 2"), "{}", error("a =\n 'x"));
        assert_eq!(error("  "), "expected a predicate such as `fare < 10`, found nothing");
        for (text, part) in [
            ("a in (select 1)", "a subquery"),
            ("exists (select 1)", "a subquery"),
            ("t.a = 1", "`t.a`; put a name with dots in double quotes"),
            ("a in (b)", "expected a constant"),
            ("a || b = 'x'", "the operator `||`"),
            ("a like b", "expected a 'pattern'"),
            ("a like 'x' escape '!'", "`escape` is not part"),
            ("case when a then b end", "is not part of a text predicate"),
            ("a = 99999999999999999999", "does not fit 64 bits"),
            ("a = x'00'", "is not part"),
            ("cast(a as int) = 1", "is not part"),
            ("a = 1;", "found `;`"),
            ("date '2024-01-31' < a", "a date is written as plain text"),
            ("a ilike 'x'", "is not part"),
        ] {
            assert!(error(text).contains(part), "{text}: {}", error(text));
        }
    }

    #[test]
    fn hostile_text_is_an_error() {
        for text in [
            "(".repeat(100_000),
            format!("{}a{}", "(".repeat(1000), ")".repeat(1000)),
            format!("{}a", "not ".repeat(100_000)),
            format!("a = {}1", "- ".repeat(100_000)),
            vec!["a = 1"; 50_000].join(" or "),
            format!("a {}", "is null ".repeat(100_000)),
            "a = '".repeat(10_000),
            format!("a in ({}", "1,".repeat(100_000)),
            format!("{}1", "case when ".repeat(900)),
            format!("a = {}1", "-".repeat(900)),
            format!("{}a", "not ".repeat(900)),
            format!("a{}", "[1".repeat(30)),
            "x".repeat(2 << 20),
        ] {
            assert!(parse_predicate(&text).is_err(), "{}", &text[..40]);
        }
        let long = format!("a in ({})", (0..50_000).map(|i| i.to_string()).collect::<Vec<_>>().join(", "));
        assert!(parse_predicate(&long).is_ok());
        let chain = vec!["a = 1"; 300].join(" or ");
        assert!(parse_predicate(&chain).is_ok());
        let nested = format!("{}a{}", "(".repeat(15), ")".repeat(15));
        assert!(parse_predicate(&nested).is_ok());
    }
}
