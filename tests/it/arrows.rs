//! What a folder's `mod.rs` says that it knows, and must not know, is so.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A signpost: the last lines of a `mod.rs`'s own comment.
struct Signpost {
    folder: PathBuf,
    /// The other folders and files of `src` that it may import from; `None` where it does not say.
    knows: Option<BTreeSet<String>>,
    /// Crates or modules of which no path may begin with this name.
    must_not_know: BTreeSet<String>,
}

fn signpost(file: &Path) -> Signpost {
    let text = fs::read_to_string(file).unwrap();
    let comment: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let comment = comment.join(" ");
    let list = |words: &str| {
        let words = comment.split_once(words)?.1.split(". ").next()?.trim_end_matches('.');
        Some(
            words
                .split(',')
                .map(|name| name.trim().to_owned())
                .filter(|n| n != "nothing else here")
                .collect(),
        )
    };
    Signpost {
        folder: file.parent().unwrap().to_owned(),
        knows: list(" Knows: "),
        must_not_know: list("Must not know: ").unwrap_or_default(),
    }
}

/// The files below a folder that are not tests.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "tests" || name == "tests.rs" || name.ends_with("_tests.rs") {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// A file's code, without comments and the tests at its end.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The first names behind each `crate::`, those in braces too.
fn imports(code: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(name(rest));
            continue;
        };
        let (mut depth, mut begin) = (1, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                found.insert(name(group[begin..at].trim_start()));
                begin = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// Whether a path begins with that name, or has it in its middle.
fn names(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || c == '_'))
    })
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn a_folder_knows_what_its_signpost_says_and_no_more() {
    let mut all = Vec::new();
    files(&source(), &mut all);
    let mut wrong = Vec::new();
    for file in all.iter().filter(|file| file.ends_with("mod.rs")) {
        let signpost = signpost(file);
        let folder = signpost.folder.strip_prefix(source()).unwrap().display().to_string();
        let is_top = signpost.folder.parent() == Some(&source());
        if is_top && signpost.knows.is_none() {
            wrong.push(format!("src/{folder}/mod.rs does not say what the folder knows"));
        }
        let mut known = BTreeSet::new();
        for inside in all.iter().filter(|inside| inside.starts_with(&signpost.folder)) {
            let code = code(inside);
            for name in signpost.must_not_know.iter().filter(|name| names(&code, name)) {
                wrong.push(format!(
                    "{} knows {name}, and src/{folder}/mod.rs says that it must not",
                    inside.display()
                ));
            }
            known.extend(imports(&code));
        }
        known.remove(&folder);
        if let Some(knows) = signpost.knows.filter(|knows| *knows != known) {
            wrong.push(format!(
                "src/{folder}/mod.rs says that the folder knows {knows:?}, and it knows {known:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_arrow_runs_back_up() {
    let mut all = Vec::new();
    files(&source(), &mut all);
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in &all {
        let inside = file.strip_prefix(source()).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let folder = first.trim_end_matches(".rs").to_owned();
        if !["lib", "main"].contains(&folder.as_str()) {
            let mut to = imports(&code(file));
            to.remove(&folder);
            arrows.entry(folder).or_default().extend(to);
        }
    }
    // Whatever has no arrow to something that is left can go; what can never go is a circle.
    loop {
        let left: BTreeSet<String> = arrows.keys().cloned().collect();
        let before = arrows.len();
        arrows.retain(|_, to| to.iter().any(|to| left.contains(to)));
        if arrows.len() == before {
            break;
        }
    }
    assert!(arrows.is_empty(), "a circle is among {arrows:#?}");
}
