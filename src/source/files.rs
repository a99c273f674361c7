//! Paths, globs, folders and lists of these → the files to read, in order.
//!
//! A path that exists is never a glob. A folder is walked to the bottom, names that begin with `.` or `_` left out;
//! a glob that matches a folder stands for that folder. Both come sorted by path, byte by byte; a list keeps its own
//! order. `key=value` folders below the folder asked for (or below the first wildcard of a glob) are Hive
//! partitions: each key becomes a column behind the file's own, and where the file has a column of that name too,
//! the folder's wins. A key's type is what all its values can be read as: integers are `int64`, ISO dates `date32`,
//! everything else `string`. Nothing is opened here.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field};
use chrono::NaiveDate;

use crate::error::{Error, Result};
use crate::source::live;
use crate::source::read_at::{Disk, Input};

/// What Hive writes for a null.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// Folders below folders: more is a loop that the system did not see.
const DEEPEST: usize = 128;

/// One file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it is; `-` is stdin.
    pub path: PathBuf,
    /// What errors call it: the path as the user gave it, or as it was found.
    pub name: String,
    /// The Hive partitions on the way to it, decoded; `None` is null.
    pub hive: Vec<(String, Option<String>)>,
}

impl FileEntry {
    /// Opens the file: a regular one for reading by position; a pipe, a device or stdin as [`Input::Live`], of which
    /// nothing is read before the run begins.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn open(&self) -> Result<Input> {
        if self.is_stdin() {
            return live::stdin();
        }
        let meta = fs::metadata(&self.path).map_err(|e| Error::io(&self.name, e))?;
        if meta.is_file() || meta.is_dir() {
            Ok(Input::Seekable(Arc::new(Disk::open(&self.path)?)))
        } else {
            live::open(&self.path)
        }
    }

    /// Whether it is stdin.
    pub fn is_stdin(&self) -> bool {
        self.path.as_os_str() == "-"
    }
}

/// The files of a source, and the columns that their folders make.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The files, in reading order; at least one.
    pub files: Vec<FileEntry>,
    /// The Hive columns, typed over all files; every file has a value, or null, for each.
    pub hive: Vec<Field>,
}

impl Listing {
    /// The Hive columns with a row a file, in the order of `files`.
    ///
    /// # Errors
    /// None in practice: [`find`] chose types that hold every value.
    pub fn constants(&self) -> Result<Vec<ArrayRef>> {
        self.hive
            .iter()
            .enumerate()
            .map(|(k, field)| {
                let values = self.files.iter().map(|f| f.hive.get(k).and_then(|(_, v)| v.as_deref()));
                Ok(match field.data_type() {
                    DataType::Int64 => {
                        Arc::new(values.map(|v| v.and_then(integer)).collect::<Int64Array>()) as ArrayRef
                    }
                    DataType::Date32 => Arc::new(values.map(|v| v.and_then(days)).collect::<Date32Array>()),
                    _ => Arc::new(values.collect::<StringArray>()),
                })
            })
            .collect()
    }
}

/// The files that `sources` stand for: paths, globs, folders, `file://` URLs, `-` for stdin.
///
/// Costs a `stat` a path and a listing a folder; holds the paths.
///
/// # Errors
/// [`Error::Value`] for an empty list; `ENOENT` for a path that is not there, a glob without match, an empty folder;
/// [`Error::NotImplemented`] for URLs of other schemes; [`Error::Schema`] where files disagree on Hive keys.
pub fn find<S: AsRef<OsStr>>(sources: &[S]) -> Result<Listing> {
    if sources.is_empty() {
        return Err(Error::Value(
            "no files: expected a path, a glob, a folder or a list of these, found an empty list".into(),
        ));
    }
    let mut files = Vec::new();
    for source in sources {
        expand(source.as_ref(), &mut files)?;
    }
    agree(files)
}

/// Appends the files that one source stands for.
fn expand(source: &OsStr, into: &mut Vec<FileEntry>) -> Result<()> {
    if source.is_empty() {
        return Err(Error::Value("expected a path, found an empty string".into()));
    }
    let name = source.to_string_lossy().into_owned();
    let path = PathBuf::from(source);
    if source == "-" {
        into.push(FileEntry { path, name, hive: Vec::new() });
        return Ok(());
    }
    match fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => folder(&path, into),
        Ok(_) => {
            into.push(FileEntry { path, name, hive: Vec::new() });
            Ok(())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => match source.to_str() {
            Some(text) if scheme(text).is_some() => url(text, into),
            Some(text) if text.contains(['*', '?', '[']) => matches(text, into),
            _ => Err(Error::io(name, e)),
        },
        Err(e) => Err(Error::io(name, e)),
    }
}

/// The scheme of a URL, if `text` is one.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(word)).then_some(scheme)
}

/// A `file://` URL is the path that it names.
fn url(text: &str, into: &mut Vec<FileEntry>) -> Result<()> {
    let scheme = scheme(text).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("file") {
        return Err(Error::NotImplemented(format!(
            "`{text}`: reading from `{scheme}://` is not built yet; expected a path, a glob, a folder or a `file://` URL"
        )));
    }
    let rest = text.get(scheme.len() + 3..).unwrap_or_default();
    let path = rest.strip_prefix("localhost").filter(|p| p.starts_with('/')).unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(Error::Value(format!("`{text}`: expected `file:///` and an absolute path of this machine")));
    }
    expand(&decoded(path.as_bytes()), into)
}

/// The files that a glob matches, sorted by path, each once.
fn matches(pattern: &str, into: &mut Vec<FileEntry>) -> Result<()> {
    let options =
        glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let found = glob::glob_with(pattern, options)
        .map_err(|e| Error::Value(format!("`{pattern}` is not a glob: {} at position {}", e.msg, e.pos)))?;
    let base = fixed_parts(pattern);
    let mut paths = BTreeSet::new();
    for path in found {
        let path = path.map_err(|e| {
            let name = e.path().display().to_string();
            Error::io(name, e.into())
        })?;
        let meta = fs::metadata(&path).map_err(|e| Error::io(path.display().to_string(), e))?;
        if meta.is_dir() {
            walk(&path, &mut paths)?;
        } else {
            paths.insert(path.into_os_string().into_vec());
        }
    }
    if paths.is_empty() {
        return Err(nothing(pattern));
    }
    entries(paths, base, into)
}

/// Leading parts of `pattern` without a wildcard: Hive partitions are looked for behind them.
fn fixed_parts(pattern: &str) -> usize {
    Path::new(pattern)
        .components()
        .take_while(|part| !part.as_os_str().as_bytes().iter().any(|b| matches!(b, b'*' | b'?' | b'[')))
        .count()
}

/// The files below a folder, sorted by path.
fn folder(path: &Path, into: &mut Vec<FileEntry>) -> Result<()> {
    let mut paths = BTreeSet::new();
    walk(path, &mut paths)?;
    if paths.is_empty() {
        return Err(nothing(&path.join("*").display().to_string()));
    }
    entries(paths, path.components().count(), into)
}

fn nothing(what: &str) -> Error {
    Error::io(what, io::Error::from_raw_os_error(libc::ENOENT))
}

/// All regular files below `root`, links followed; a link back to a folder above is an error, not a loop.
fn walk(root: &Path, into: &mut BTreeSet<Vec<u8>>) -> Result<()> {
    let mut left: Vec<(PathBuf, Vec<(u64, u64)>)> = vec![(root.to_owned(), Vec::new())];
    while let Some((folder, mut above)) = left.pop() {
        let failed = |e: io::Error| Error::io(folder.display().to_string(), e);
        let meta = fs::metadata(&folder).map_err(failed)?;
        let id = (meta.dev(), meta.ino());
        if above.contains(&id) || above.len() >= DEEPEST {
            return Err(failed(io::Error::from_raw_os_error(libc::ELOOP)));
        }
        above.push(id);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if matches!(entry.file_name().as_bytes().first(), Some(b'.' | b'_')) {
                continue;
            }
            let path = entry.path();
            let meta = fs::metadata(&path).map_err(|e| Error::io(path.display().to_string(), e))?;
            if meta.is_dir() {
                left.push((path, above.clone()));
            } else if meta.is_file() {
                into.insert(path.into_os_string().into_vec());
            }
        }
    }
    Ok(())
}

/// Entries for `paths`, whose parts behind the first `base` may be Hive partitions.
fn entries(paths: BTreeSet<Vec<u8>>, base: usize, into: &mut Vec<FileEntry>) -> Result<()> {
    for path in paths {
        let path = PathBuf::from(OsString::from_vec(path));
        let name = path.display().to_string();
        let hive = partitions(&path, base, &name)?;
        into.push(FileEntry { path, name, hive });
    }
    Ok(())
}

/// The `key=value` folders on the way to `path`.
fn partitions(path: &Path, base: usize, name: &str) -> Result<Vec<(String, Option<String>)>> {
    let mut hive: Vec<(String, Option<String>)> = Vec::new();
    let parts = path.parent().into_iter().flat_map(Path::components).skip(base);
    for part in parts {
        let Some((key, value)) = part.as_os_str().to_str().and_then(|p| p.split_once('=')) else { continue };
        let [key, value] = [key, value].map(|t| decoded(t.as_bytes()).to_string_lossy().into_owned());
        if key.is_empty() {
            continue;
        }
        if hive.iter().any(|(known, _)| *known == key) {
            return Err(Error::Schema(format!("{name}: the partition `{key}` stands in the path twice")));
        }
        hive.push((key, (value != HIVE_NULL).then_some(value)));
    }
    Ok(hive)
}

/// `%41` → `A`; anything else stays as it is.
fn decoded(text: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|d| first == b'%' && d.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok());
        out.push(byte.unwrap_or(first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    OsString::from_vec(out)
}

/// Checks that all files have the same Hive keys, puts them in the first file's order, and types them.
fn agree(mut files: Vec<FileEntry>) -> Result<Listing> {
    let Some(first) = files.first() else {
        return Err(Error::Value("no files to read".into()));
    };
    let (first_name, keys): (String, Vec<String>) =
        (first.name.clone(), first.hive.iter().map(|(key, _)| key.clone()).collect());
    for file in &mut files {
        let mut ordered = Vec::with_capacity(keys.len());
        for key in &keys {
            if let Some(at) = file.hive.iter().position(|(k, _)| k == key) {
                ordered.push(file.hive.swap_remove(at));
            }
        }
        if ordered.len() != keys.len() || !file.hive.is_empty() {
            ordered.append(&mut file.hive);
            let found: Vec<&str> = ordered.iter().map(|(k, _)| k.as_str()).collect();
            let wanted: Vec<&str> = keys.iter().map(String::as_str).collect();
            return Err(Error::Schema(format!(
                "{}: expected the partitions of {first_name} ({}), found {}; read the folders apart",
                file.name,
                named(&wanted),
                named(&found),
            )));
        }
        file.hive = ordered;
    }
    let hive = keys
        .iter()
        .enumerate()
        .map(|(k, key)| {
            let values: Vec<&str> =
                files.iter().filter_map(|f| f.hive.get(k).and_then(|(_, v)| v.as_deref())).collect();
            Field::new(key, partition_type(&values), true)
        })
        .collect();
    Ok(Listing { files, hive })
}

fn named(keys: &[&str]) -> String {
    if keys.is_empty() { "none".into() } else { crate::error::listed(keys) }
}

/// The narrowest of `int64`, `date32` and `string` that every value can be read as.
fn partition_type(values: &[&str]) -> DataType {
    if values.is_empty() {
        DataType::Utf8
    } else if values.iter().all(|v| integer(v).is_some()) {
        DataType::Int64
    } else if values.iter().all(|v| days(v).is_some()) {
        DataType::Date32
    } else {
        DataType::Utf8
    }
}

fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Days since 1970 of `YYYY-MM-DD`.
fn days(text: &str) -> Option<i32> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if !shape {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        for path in paths {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("has one")).expect("folders");
            fs::write(path, b"x").expect("a file");
        }
        dir
    }

    fn names(root: &Path, listing: &Listing) -> Vec<String> {
        listing.files.iter().map(|f| f.path.strip_prefix(root).expect("below the root").display().to_string()).collect()
    }

    fn errno(error: &Error) -> Option<i32> {
        match error {
            Error::Io { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    #[test]
    fn a_folder_is_sorted_and_leaves_out_hidden_names() {
        let dir = tree(&["b.csv", "a/z.csv", "a-1.csv", "_x/a.csv", ".hidden.csv", "_SUCCESS", "a/_m", "a/b/c.csv"]);
        let listing = find(&[dir.path()]).expect("files");
        assert_eq!(names(dir.path(), &listing), ["a-1.csv", "a/b/c.csv", "a/z.csv", "b.csv"]);
        assert!(listing.hive.is_empty());
    }

    #[test]
    fn a_glob_is_sorted_and_matches_no_dot() {
        let dir = tree(&["10.csv", "2.csv", "1.csv", ".0.csv", "x.txt"]);
        let listing = find(&[dir.path().join("*.csv")]).expect("files");
        assert_eq!(names(dir.path(), &listing), ["1.csv", "10.csv", "2.csv"]);
    }

    #[test]
    fn recursive_globs_name_each_file_once() {
        let dir = tree(&["a/1.csv", "a/b/2.csv"]);
        let listing = find(&[dir.path().join("**")]).expect("files");
        assert_eq!(names(dir.path(), &listing), ["a/1.csv", "a/b/2.csv"]);
    }

    #[test]
    fn a_path_that_exists_is_never_a_glob() {
        let dir = tree(&["a[1].csv", "a1.csv"]);
        let listing = find(&[dir.path().join("a[1].csv")]).expect("the file");
        assert_eq!(names(dir.path(), &listing), ["a[1].csv"]);
    }

    #[test]
    fn a_list_keeps_its_order() {
        let dir = tree(&["b.csv", "a.csv", "f/2.csv", "f/1.csv"]);
        let sources = ["b.csv", "f", "a.csv", "b.csv"].map(|n| dir.path().join(n));
        let listing = find(&sources).expect("files");
        assert_eq!(names(dir.path(), &listing), ["b.csv", "f/1.csv", "f/2.csv", "a.csv", "b.csv"]);
    }

    #[test]
    fn what_is_not_there_is_enoent() {
        let dir = tree(&["_only.csv"]);
        for missing in ["no.csv", "*.parquet"] {
            let e = find(&[dir.path().join(missing)]).expect_err("not there");
            assert_eq!(errno(&e), Some(libc::ENOENT));
            assert!(e.to_string().contains(missing), "{e}");
        }
        assert_eq!(errno(&find(&[dir.path()]).expect_err("no files in it")), Some(libc::ENOENT));
        assert!(matches!(find::<&str>(&[]), Err(Error::Value(_))));
        assert!(matches!(find(&[""]), Err(Error::Value(_))));
        assert!(matches!(find(&["/tmp/a***b["]), Err(Error::Value(_))));
    }

    #[test]
    fn urls_are_refused_by_scheme_and_file_urls_taken() {
        let e = find(&["s3://bucket/key.parquet"]).expect_err("not built");
        assert!(matches!(&e, Error::NotImplemented(m) if m.contains("`s3://`")), "{e}");
        let dir = tree(&["a b.csv"]);
        let listing = find(&[format!("file://{}/a%20b.csv", dir.path().display())]).expect("the file");
        assert_eq!(names(dir.path(), &listing), ["a b.csv"]);
        assert!(matches!(find(&["file://host/x"]), Err(Error::Value(_))));
    }

    #[test]
    fn hive_partitions_are_typed_over_all_files() {
        let dir = tree(&[
            "year=2023/dt=2024-01-09/city=a%2Fb/n=1/1.csv",
            "year=2024/dt=2024-02-10/city=__HIVE_DEFAULT_PARTITION__/n=x/2.csv",
        ]);
        let listing = find(&[dir.path()]).expect("files");
        let types: Vec<_> = listing.hive.iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
        assert_eq!(
            types,
            [("year", DataType::Int64), ("dt", DataType::Date32), ("city", DataType::Utf8), ("n", DataType::Utf8),]
        );
        let constants = listing.constants().expect("typed");
        assert_eq!(constants[0].as_ref(), &Int64Array::from(vec![2023, 2024]));
        assert_eq!(constants[1].as_ref(), &Date32Array::from(vec![19731, 19763]));
        assert_eq!(constants[2].as_ref(), &StringArray::from(vec![Some("a/b"), None]));
        assert_eq!(constants[3].as_ref(), &StringArray::from(vec!["1", "x"]));
    }

    #[test]
    fn partitions_begin_below_the_folder_or_wildcard() {
        let dir = tree(&["a=1/b=2/c.csv", "a=1/b=3/c.csv"]);
        let columns = |source: PathBuf| {
            let listing = find(&[source]).expect("files");
            listing.hive.iter().map(|f| f.name().clone()).collect::<Vec<_>>()
        };
        assert_eq!(columns(dir.path().to_owned()), ["a", "b"]);
        assert_eq!(columns(dir.path().join("a=1")), ["b"]);
        assert_eq!(columns(dir.path().join("a=1/b=*/*.csv")), ["b"]);
        assert_eq!(columns(dir.path().join("*/*/*.csv")), ["a", "b"]);
        assert_eq!(columns(dir.path().join("a=1/b=2/c.csv")), Vec::<String>::new());
    }

    #[test]
    fn files_that_disagree_on_partitions_are_refused() {
        let dir = tree(&["a=1/x.csv", "b=1/x.csv"]);
        let e = find(&[dir.path()]).expect_err("two kinds");
        assert!(matches!(&e, Error::Schema(m) if m.contains("(`a`), found `b`")), "{e}");
        let dir = tree(&["a=1/a=2/x.csv"]);
        assert!(matches!(find(&[dir.path()]), Err(Error::Schema(_))));
    }

    #[test]
    fn links_are_followed_and_loops_refused() {
        let dir = tree(&["a/1.csv", "other/2.csv"]);
        symlink(dir.path().join("other"), dir.path().join("a/link")).expect("a link");
        let listing = find(&[dir.path().join("a")]).expect("files");
        assert_eq!(names(dir.path(), &listing), ["a/1.csv", "a/link/2.csv"]);
        symlink(dir.path(), dir.path().join("a/up")).expect("a link");
        assert_eq!(errno(&find(&[dir.path()]).expect_err("a loop")), Some(libc::ELOOP));
    }

    #[test]
    fn big_and_odd_numbers_stay_text() {
        assert_eq!(partition_type(&["01", "-12"]), DataType::Int64);
        assert_eq!(partition_type(&["99999999999999999999"]), DataType::Utf8);
        assert_eq!(partition_type(&["1", ""]), DataType::Utf8);
        assert_eq!(partition_type(&["2024-02-30"]), DataType::Utf8);
        assert_eq!(partition_type(&[]), DataType::Utf8);
    }
}
