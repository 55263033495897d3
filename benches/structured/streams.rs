//! Kafka Streams, which does the same: its jars come from Maven, and Java compiles `Streams.java`.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{beside, order};

pub struct Streams {
    folder: PathBuf,
}

impl Streams {
    pub fn compile() -> Streams {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("streams");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(beside("pom.xml"), folder.join("pom.xml")).unwrap();
        let plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
        run(Command::new("mvn").args(["-B", "-q", plugin, "-DoutputDirectory=libs"]).current_dir(&folder));
        let streams = Streams { folder };
        let classes = streams.class_path();
        run(Command::new("javac")
            .arg("-cp")
            .arg(classes)
            .arg("-d")
            .arg(&streams.folder)
            .arg(beside("Streams.java")));
        streams
    }

    /// The Java program, with the schema's file as its last argument.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        command.args(["-Xmx2g", "-cp"]).arg(self.class_path()).arg("Streams").args(arguments);
        command.arg(order::schema_file()).arg(self.folder.join("state"));
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
