//! The plan as text: what the source does itself, what streams, what waits.

use super::optimize::{From, Optimized, optimize};
use super::verb::Verb;
use super::{Plan, Root};
use crate::error::Result;

impl Plan {
    /// The plan after optimizing, the result at the top, sources at the bottom. Runs nothing.
    ///
    /// # Errors
    /// Whatever opening a source meets.
    pub fn explain(&self) -> Result<String> {
        let mut lines = Vec::new();
        write(&optimize(self, None)?, 0, &mut lines);
        let o = &self.options;
        let limit = o.memory_limit.map_or("none".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
        lines.push(format!(
            "run: threads {}, prefetch {}, batch_size {}, memory_limit {limit}",
            o.threads,
            o.ahead(),
            o.batch_size
        ));
        Ok(lines.join("\n"))
    }

    /// One line a verb, as the user wrote them. Opens nothing.
    pub fn describe(&self) -> String {
        let root = match &self.root {
            Root::Scan(scan) => scan.label.clone(),
            Root::Concat(plans) => format!("concat of {}", plans.len()),
        };
        let verbs = self.verbs.iter().map(|v| v.describe());
        std::iter::once(root).chain(verbs).collect::<Vec<_>>().join("\n.")
    }
}

fn write(plan: &Optimized, indent: usize, lines: &mut Vec<String>) {
    let pad = "  ".repeat(indent);
    for verb in plan.verbs.iter().rev() {
        let how = match &**verb {
            Verb::Map { .. } => "  [your function, on the consumer's thread]",
            Verb::Head(_) | Verb::Skip(_) | Verb::RowIndex(_) | Verb::Rebatch { .. } => "  [in order]",
            Verb::Aggregate(_) => "  [blocking, one row]",
            _ => "  [streams, in the workers]",
        };
        lines.push(format!("{pad}{}{how}", verb.describe()));
    }
    match &plan.root {
        From::Source(source) => lines.extend(source.explain().into_iter().enumerate().map(|(i, line)| {
            let inner = if i == 0 { "" } else { "  " };
            format!("{pad}{inner}{line}")
        })),
        From::Concat(inputs) => {
            lines.push(format!("{pad}concat of {}", inputs.len()));
            for input in inputs {
                write(input, indent + 1, lines);
            }
        }
    }
}
