//! Apache Kafka's jars, which Maven fetches once into the cache folder, and the Java that runs them.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{BrokerError, error::last_lines};

/// The Kafka release.
pub const KAFKA_VERSION: &str = "4.3.1";

const COPY_DEPENDENCIES: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/// Apache Kafka's jars on this machine, and a Java that can run them.
#[derive(Clone, Debug)]
pub struct Jars {
    java: PathBuf,
    folder: PathBuf,
}

impl Jars {
    /// Finds the jars in `$XDG_CACHE_HOME/pipeline/kafka-VERSION` (`~/.cache` if that is not set), or has
    /// Maven fetch them, about 45 MB.
    ///
    /// Two processes may do so at once: each fetches into its own folder, and the first to finish renames it
    /// to the final name.
    ///
    /// # Errors
    /// Java 17 or Maven is missing, or Maven could not fetch.
    pub fn fetch() -> Result<Self, BrokerError> {
        let java = java()?;
        let cache = xdg_folder("XDG_CACHE_HOME", ".cache", "Kafka's jars")?.join("pipeline");
        let folder = cache.join(format!("kafka-{KAFKA_VERSION}"));
        if !folder.is_dir() {
            let unfinished =
                cache.join(format!("kafka-{KAFKA_VERSION}.{}-{:08x}", std::process::id(), fastrand::u32(..)));
            let fetched = fetch_into(&unfinished).and_then(|()| match fs::rename(&unfinished, &folder) {
                Err(_) if folder.is_dir() => Ok(()),
                renamed => renamed.map_err(BrokerError::io("write", &folder)),
            });
            // It still exists if something failed, or if another process was first.
            let _ = fs::remove_dir_all(&unfinished);
            fetched?;
        }
        Ok(Jars { java, folder })
    }

    /// The command line that runs one of Kafka's classes, with `options` for the virtual machine, in a folder
    /// with `log4j2.properties`.
    pub(super) fn command(&self, options: &[String], class: &str, arguments: &[&str]) -> Vec<OsString> {
        let mut command = vec![self.java.clone().into_os_string()];
        command.push("-Dlog4j2.configurationFile=log4j2.properties".into());
        command.extend(options.iter().map(OsString::from));
        command.extend(["-cp".into(), self.folder.join("libs").join("*").into_os_string(), class.into()]);
        command.extend(arguments.iter().map(OsString::from));
        command
    }
}

/// An XDG base folder: from its variable, or its default under `HOME`.
///
/// # Errors
/// Neither is set.
pub(crate) fn xdg_folder(
    variable: &'static str,
    default: &str,
    what: &'static str,
) -> Result<PathBuf, BrokerError> {
    // The specification says to ignore relative paths.
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
    absolute(variable)
        .or_else(|| Some(absolute("HOME")?.join(default)))
        .ok_or(BrokerError::NoHome { variable, what })
}

fn java() -> Result<PathBuf, BrokerError> {
    let java = match std::env::var_os("JAVA_HOME") {
        Some(home) if !home.is_empty() => Path::new(&home).join("bin").join("java"),
        _ => PathBuf::from("java"),
    };
    let output = Command::new(&java).arg("-version").output().map_err(missing(
        &java,
        "a broker on this machine",
        "default-jre-headless",
    ))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match java_version(&said) {
        Some(version) if version < 17 => {
            Err(BrokerError::OldJava { program: java.display().to_string(), found: version.to_string() })
        }
        // A version in an unknown format is accepted.
        _ => Ok(java),
    }
}

/// Parses the major version: `openjdk version "17.0.15" …` is 17; before 9 it was `"1.8.0_292"`.
fn java_version(said: &str) -> Option<u32> {
    let mut numbers = said.split('"').nth(1)?.split(|c: char| !c.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        version => Some(version),
    }
}

fn fetch_into(folder: &Path) -> Result<(), BrokerError> {
    fs::create_dir_all(folder).map_err(BrokerError::io("create", folder))?;
    let pom = folder.join("pom.xml");
    fs::write(&pom, include_str!("pom.xml")).map_err(BrokerError::io("write", pom))?;
    let output = Command::new("mvn")
        .args(["-B", "-q", "-Dstyle.color=never", "-DincludeScope=runtime", "-DoutputDirectory=libs"])
        .arg(format!("-Dkafka.version={KAFKA_VERSION}"))
        .arg(COPY_DEPENDENCIES)
        .current_dir(folder)
        .output()
        .map_err(missing(Path::new("mvn"), "fetching Apache Kafka", "maven"))?;
    if !output.status.success() {
        let output = last_lines(&[output.stdout, output.stderr].concat());
        return Err(BrokerError::Fetch { output });
    }
    Ok(())
}

fn missing(
    program: &Path,
    purpose: &'static str,
    package: &'static str,
) -> impl FnOnce(io::Error) -> BrokerError {
    let program = program.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::NotFound => {
            BrokerError::Missing { program: program.display().to_string(), purpose, package }
        }
        _ => BrokerError::Io { action: "run", path: program, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_of_every_age_are_distinguished() {
        assert_eq!(java_version("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"), Some(17));
        assert_eq!(java_version("openjdk version \"21\" 2023-09-19"), Some(21));
        assert_eq!(java_version("openjdk version \"25-ea\" 2025-09-16"), Some(25));
        assert_eq!(java_version("java version \"1.8.0_292\""), Some(8));
        assert_eq!(java_version("something else"), None);
    }

    #[test]
    fn a_missing_program_is_one_sentence_that_names_the_package() {
        let error =
            missing(Path::new("mvn"), "fetching Apache Kafka", "maven")(io::ErrorKind::NotFound.into());
        assert_eq!(
            error.to_string(),
            "`mvn` was not found, and fetching Apache Kafka needs it: install it (Debian: apt-get install maven)"
        );
    }
}
