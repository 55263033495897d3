//! A message's type, compiled from `.proto` text; and which one of a file's messages a value is.

use std::path::Path;

use bytes::Bytes;
use prost_reflect::MessageDescriptor;
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver},
};

/// The name that a text without a file goes by.
const NAME: &str = "schema.proto";
/// Messages within each other.
const DEPTH: i64 = 100;

/// The type of a message, and the text that it is in.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    text: String,
    descriptor: MessageDescriptor,
}

/// Files in memory.
struct Texts(Vec<(String, String)>);

impl FileResolver for Texts {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        path.to_str().map(str::to_owned)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.iter().find(|(known, _)| known == name) {
            Some((name, text)) => File::from_source(name, text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

impl Message {
    /// The message of that full name, or the first one, of a text that imports these files, by name.
    ///
    /// # Errors
    /// What is wrong with the text, or that it has no such message.
    pub fn parse(text: &str, imports: &[(String, String)], name: Option<&str>) -> Result<Self, String> {
        let mut files = imports.to_vec();
        files.push((NAME.to_owned(), text.to_owned()));
        let mut resolver = ChainFileResolver::new();
        resolver.add(Texts(files));
        resolver.add(GoogleFileResolver::new());
        Self::compile(text, resolver, NAME, name)
    }

    /// The same of a file with that text; what it imports is looked for in its folder.
    ///
    /// # Errors
    /// What is wrong with the text, or that it has no such message.
    pub fn open(path: &Path, text: &str, name: Option<&str>) -> Result<Self, String> {
        let mut resolver = ChainFileResolver::new();
        resolver.add(Texts(vec![(NAME.to_owned(), text.to_owned())]));
        resolver.add(IncludeFileResolver::new(path.parent().map(Path::to_owned).unwrap_or_default()));
        resolver.add(GoogleFileResolver::new());
        Self::compile(text, resolver, NAME, name)
    }

    fn compile(
        text: &str,
        resolver: ChainFileResolver,
        file: &str,
        name: Option<&str>,
    ) -> Result<Self, String> {
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.open_file(file).map_err(|error| error.to_string())?;
        let pool = compiler.descriptor_pool();
        let file = pool.get_file_by_name(file).ok_or("it is not there")?;
        let descriptor = match name {
            Some(name) => {
                pool.get_message_by_name(name).ok_or_else(|| format!("there is no message `{name}`"))?
            }
            None => file.messages().next().ok_or("there is no message in it")?,
        };
        Ok(Message { text: text.to_owned(), descriptor })
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn descriptor(&self) -> &MessageDescriptor {
        &self.descriptor
    }

    /// Another message of the same file: its place there, then its place in that message, and so on.
    pub(super) fn sibling(&self, indexes: &[usize]) -> Result<MessageDescriptor, String> {
        let none = || format!("its schema has no message at {indexes:?}");
        let (first, rest) = indexes.split_first().ok_or_else(none)?;
        let mut message = self.descriptor.parent_file().messages().nth(*first).ok_or_else(none)?;
        for index in rest {
            let inner = message.child_messages().nth(*index);
            message = inner.ok_or_else(none)?;
        }
        Ok(message)
    }

    /// Writes which message of its file it is.
    pub(super) fn push_indexes(&self, out: &mut Vec<u8>) {
        // The path has the number of each list, too.
        let path: Vec<i32> =
            self.descriptor.path().chunks(2).filter_map(|pair| pair.get(1).copied()).collect();
        if path == [0] {
            // The first message is so common that its length is left out.
            return out.push(0);
        }
        push(out, path.len() as i64);
        path.iter().for_each(|index| push(out, i64::from(*index)));
    }
}

/// Which message a value is, and what is behind that.
pub(super) fn indexes(mut bytes: Bytes) -> Result<(Vec<usize>, Bytes), String> {
    let count = pull(&mut bytes)?;
    if count == 0 {
        return Ok((vec![0], bytes));
    }
    if !(1..=DEPTH).contains(&count) {
        return Err(format!("it is said to be a message at {count} places"));
    }
    let mut indexes = Vec::new();
    for _ in 0..count {
        let index = pull(&mut bytes)?;
        indexes.push(usize::try_from(index).map_err(|_| format!("{index} is no place of a message"))?);
    }
    Ok((indexes, bytes))
}

/// An integer in zigzag, seven bits a byte.
fn push(out: &mut Vec<u8>, n: i64) {
    let mut n = ((n << 1) ^ (n >> 63)) as u64;
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn pull(bytes: &mut Bytes) -> Result<i64, String> {
    let mut n = 0_u64;
    for shift in (0..35).step_by(7) {
        let Some((byte, rest)) = bytes.split_first() else {
            return Err("it ends before it says which message it is".to_owned());
        };
        n |= u64::from(byte & 0x7f) << shift;
        let (done, rest) = (byte & 0x80 == 0, bytes.len() - rest.len());
        *bytes = bytes.slice(rest..);
        if done {
            return Ok((n >> 1) as i64 ^ -((n & 1) as i64));
        }
    }
    Err("it does not say which message it is".to_owned())
}
