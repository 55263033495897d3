//! A contender in Java: its jars come from Maven, and `javac` compiles it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub struct Java {
    class: &'static str,
    folder: PathBuf,
}

impl Java {
    /// The class `class` in the file of that name in `sources`, with the `pom.xml` beside it.
    pub fn compile(sources: &Path, class: &'static str) -> Java {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(class);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(sources.join("pom.xml"), folder.join("pom.xml")).unwrap();
        let plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
        run(Command::new("mvn").args(["-B", "-q", plugin, "-DoutputDirectory=libs"]).current_dir(&folder));
        let java = Java { class, folder };
        let source = sources.join(format!("{class}.java"));
        run(Command::new("javac").arg("-cp").arg(java.class_path()).arg("-d").arg(&java.folder).arg(source));
        java
    }

    /// Where it may keep what it needs.
    #[allow(dead_code, reason = "not all benches that share this file")]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The program with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        command.args(["-Xmx2g", "-cp"]).arg(self.class_path()).arg(self.class).args(arguments);
        command
    }

    fn class_path(&self) -> OsString {
        let folder = self.folder.display();
        format!("{folder}:{folder}/libs/*").into()
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat())
    );
}
