use std::{env, fs};

/// A string after `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` were filled in.
#[derive(Debug, PartialEq, Eq)]
pub struct Interpolated {
    pub text: String,
    /// Whether any of it came from outside the file: then it is printed nowhere.
    pub secret: bool,
}

/// Fills in what comes from the environment or from files; `$${` stands for `${` itself.
///
/// # Errors
/// A sentence that names the variable or the file.
pub fn interpolate(text: &str) -> Result<Interpolated, String> {
    let mut result = Interpolated { text: String::new(), secret: false };
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            result.text += &rest[..start - 1];
            result.text += "${";
            rest = &rest[start + 2..];
            continue;
        }
        let end =
            rest[start..].find('}').ok_or_else(|| format!("`{}` has no closing brace", &rest[start..]))?;
        result.text += &rest[..start];
        result.text += &look_up(&rest[start + 2..start + end])?;
        result.secret = true;
        rest = &rest[start + end + 1..];
    }
    result.text += rest;
    Ok(result)
}

fn look_up(reference: &str) -> Result<String, String> {
    if let Some(path) = reference.strip_prefix("file:") {
        let text =
            fs::read_to_string(path).map_err(|error| format!("the file {path} cannot be read: {error}"))?;
        return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
    }
    let Some(variable) = reference.strip_prefix("env:") else {
        return Err(format!("`${{{reference}}}` is neither ${{env:NAME}} nor ${{file:PATH}}"));
    };
    let (name, default) = match variable.split_once(":-") {
        Some((name, default)) => (name, Some(default.to_owned())),
        None => (variable, None),
    };
    env::var(name).ok().or(default).ok_or_else(|| format!("the environment variable {name} is not set"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Result<(String, bool), String> {
        interpolate(text).map(|i| (i.text, i.secret))
    }

    #[test]
    fn what_is_not_a_reference_stays_as_it_is() {
        assert_eq!(text("a $b {c} $${d}").unwrap(), ("a $b {c} ${d}".to_owned(), false));
    }

    #[test]
    fn variables_and_files_are_filled_in_and_secret() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        fs::write(&file, "hunter2\n").unwrap();
        assert_eq!(text(&format!("<${{file:{}}}>", file.display())).unwrap(), ("<hunter2>".to_owned(), true));
        assert_eq!(text("${env:PIPELINE_NO_SUCH:-fallback}").unwrap(), ("fallback".to_owned(), true));
        assert!(!text("x${env:PATH}").unwrap().0.contains("env:"));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            text("${env:PIPELINE_NO_SUCH}").unwrap_err(),
            "the environment variable PIPELINE_NO_SUCH is not set"
        );
        assert!(text("${file:/no/such}").unwrap_err().starts_with("the file /no/such cannot be read"));
        assert!(text("${PATH}").unwrap_err().contains("neither"));
        assert!(text("${env:PATH").unwrap_err().contains("no closing brace"));
    }
}
