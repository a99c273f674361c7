//! Words that source and sink share: file formats, compression, the CSV dialect.
