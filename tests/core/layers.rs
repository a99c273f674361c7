//! The house rules that a compiler does not check, as a test: which module may use which, where `unsafe` may
//! stand, how long a file may be and what it may be called.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A part of `src/` → the modules of this crate that it may use. The longest matching path counts; a module
/// may always use itself. `lib.rs` only lists modules.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("format", &["error"]),
    ("dtype", &["error"]),
    ("alloc", &["error"]),
    ("threads", &[]),
    ("memory", &["error"]),
    ("batch", &["memory", "error", "dtype"]),
    ("keys", &["memory", "error", "dtype"]),
    ("spill", &["batch", "error", "format"]),
    ("fit", &["batch", "dtype", "error"]),
    ("call", &["memory", "error"]),
    ("options", &["error"]),
    ("context", &["alloc", "memory", "spill", "format", "options", "error"]),
    ("expr", &["batch", "dtype", "error"]),
    ("piece", &["batch", "memory", "context", "expr", "error"]),
    ("source", &["threads", "piece", "batch", "fit", "memory", "context", "expr", "format", "dtype", "error"]),
    ("sink", &["threads", "piece", "batch", "keys", "memory", "spill", "context", "format", "dtype", "error"]),
    (
        "stage",
        &["threads", "piece", "batch", "fit", "call", "keys", "memory", "spill", "context", "expr", "dtype", "error"],
    ),
    ("plan", &["piece", "expr", "format", "dtype", "batch", "call", "options", "error"]),
    (
        "plan/lower",
        &[
            "piece", "expr", "format", "dtype", "batch", "call", "options", "error", "source", "stage", "sink",
            "context", "memory",
        ],
    ),
    (
        "py",
        &[
            "error", "format", "dtype", "alloc", "memory", "batch", "fit", "call", "options", "keys", "spill",
            "context", "expr", "piece", "source", "sink", "stage", "plan",
        ],
    ),
];

/// The files that may say `unsafe`, each use with its invariant: the Arrow C interface, the allocator, `poll(2)`,
/// `tracemalloc`, text that was proven to be text a value at a time, SIMD.
const UNSAFE: &[&str] = &[
    "alloc.rs",
    "py/arrow.rs",
    "py/arrow_schema.rs",
    "py/traced.rs",
    "source/csv/masks.rs",
    "source/csv/text.rs",
    "source/live.rs",
    "source/parquet/flat/compress.rs",
    "source/parquet/flat/gather.rs",
    "source/parquet/flat/split.rs",
    "source/parquet/flat/spread.rs",
    "source/parquet/flat/text.rs",
    "source/parquet/flat/unpack.rs",
    "source/parquet/nested/masks.rs",
    "threads/turns.rs",
];

/// Words that say nothing, or belong to another vocabulary; no file is named by one.
const VAGUE: &[&str] = &[
    "chunk", "chunks", "common", "data", "exec", "frame", "handler", "handlers", "helper", "helpers", "manager",
    "misc", "morsel", "node", "nodes", "process", "table", "util", "utils",
];

/// Lines of a file past which its header must say why.
const LONG: usize = 700;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files with `extension` below `folder`, sorted.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// `src/**/*.rs` without `tests.rs`, where the unit tests of a folder stand: the path below `src/`, and the text.
fn sources() -> Vec<(String, String)> {
    let src = root().join("src");
    files(&src, "rs")
        .into_iter()
        .filter(|path| !path.ends_with("tests.rs"))
        .map(|path| {
            let name = path.strip_prefix(&src).expect("below src").to_string_lossy().replace('\\', "/");
            (name, fs::read_to_string(&path).expect("readable"))
        })
        .collect()
}

/// `text` without comments, and with what stands inside quotes left out.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest).filter(|_| !out.ends_with(|c: char| c.is_alphanumeric())) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' {
            // a lifetime has no closing quote one character (or one escape) later
            let mut after = rest[1..].chars();
            match (after.next(), after.next()) {
                (Some('\\'), _) => quoted(rest, '\''),
                (Some(c), Some('\'')) => 2 + c.len_utf8(),
                _ => 0,
            }
        } else {
            0
        };
        if skipped == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skipped..];
        }
    }
    out
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match text.as_bytes().get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = body.bytes().take_while(|b| *b == b'#').count();
    if !body[hashes..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let open = text.len() - body.len() + hashes + 1;
    Some(text[open..].find(&end).map_or(text.len(), |at| open + at + end.len()))
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What a source may be judged by: no comments, no quoted text, no unit tests (they stand at the foot).
fn shipped(text: &str) -> String {
    let code = code(text);
    match code.find("#[cfg(test)]\nmod tests") {
        Some(at) => code[..at].to_owned(),
        None => code,
    }
}

/// The modules of this crate that `code` names: `crate::x`, `crate::{x::…, y}`.
fn modules_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let path = &code[at + "crate::".len()..];
        if let Some(group) = path.strip_prefix('{') {
            let mut depth = 0;
            let mut start = true;
            for (at, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if start && !c.is_whitespace() => {
                        used.insert(word(&group[at..]));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            used.insert(word(path));
        }
    }
    used
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The row of [`LAYERS`] that `file` falls under: `plan/lower.rs` and `plan/lower/x.rs` under `plan/lower`.
fn layer(file: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
    let stem = file.trim_end_matches(".rs");
    LAYERS
        .iter()
        .filter(|(path, _)| stem == *path || stem.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
        .max_by_key(|(path, _)| path.len())
}

#[test]
fn modules_use_only_what_their_layer_may() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if file == "lib.rs" {
            continue;
        }
        let Some((path, may)) = layer(&file) else {
            wrong.push(format!("src/{file}: no row in the table of layers"));
            continue;
        };
        let own = path.split('/').next().expect("a first part");
        for used in modules_used(&shipped(&text)) {
            if used != own && !may.contains(&used.as_str()) {
                wrong.push(format!("src/{file}: uses `crate::{used}`, but `{path}` may use only {may:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_python_wall_names_python() {
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter(|(file, text)| !file.starts_with("py/") && shipped(text).contains("pyo3"))
        .map(|(file, _)| format!("src/{file}"))
        .collect();
    assert!(wrong.is_empty(), "names pyo3 outside of src/py: {wrong:?}");
}

#[test]
fn unsafe_stands_in_few_places() {
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter(|(file, _)| !UNSAFE.contains(&file.as_str()))
        .filter(|(_, text)| code(text).split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe"))
        .map(|(file, _)| format!("src/{file}"))
        .collect();
    assert!(wrong.is_empty(), "says unsafe outside of {UNSAFE:?}: {wrong:?}");
}

#[test]
fn every_file_says_what_it_is_for_and_a_long_one_why_it_is_long() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        if header.is_empty() {
            wrong.push(format!("src/{file}: begins without a `//!` header"));
        }
        let lines = text.lines().count();
        if lines > LONG && !header.iter().any(|line| line.contains("Long because")) {
            wrong.push(format!("src/{file}: {lines} lines; split it, or say `Long because …` in its header"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_of_files_say_something() {
    let folders = [("src", "rs"), ("python", "py"), ("tests", "py"), ("tests", "rs"), ("benchmarks", "py")];
    let mut wrong = Vec::new();
    for (folder, extension) in folders {
        let folder = root().join(folder);
        if !folder.is_dir() {
            continue;
        }
        for path in files(&folder, extension) {
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if stem.split('_').any(|word| VAGUE.contains(&word)) {
                wrong.push(path.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "vague names: {wrong:?}");
}

#[test]
fn comments_and_quotes_are_not_code() {
    let text = r##"use crate::memory; // use crate::plan
        /* crate::a /* crate::b */ crate::c */ let s = "crate::d \" crate::e"; let r = r#"crate::f " x"#;
        let c = '"'; let l: &'static str = crate::error::x(); let q = '\''; crate::batch::y::<'_>()"##;
    assert_eq!(modules_used(&code(text)).into_iter().collect::<Vec<_>>(), ["batch", "error", "memory"]);
}

#[test]
fn grouped_imports_are_seen() {
    let used =
        modules_used("use crate::{error::{Error, Result}, memory, piece::{self, Held}};\n$crate::x; subcrate::y");
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["error", "memory", "piece"]);
}

#[test]
fn the_deepest_layer_counts() {
    assert_eq!(layer("plan/lower/pieces.rs").map(|l| l.0), Some("plan/lower"));
    assert_eq!(layer("plan/lowered.rs").map(|l| l.0), Some("plan"));
    assert_eq!(layer("nowhere.rs"), None);
}
