use std::process::{Child, Command, Stdio};

/// Sees to it that a child does not outlive the test process, which may be killed before it can drop anything.
pub struct Watch(Child);

impl Watch {
    pub fn over(child: &Child) -> Watch {
        // The pipe closes with its owner, whatever ends that.
        let shell = Command::new("sh")
            .args(["-c", "read -r _; kill -9 \"$1\"", "sh", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Watch(shell.unwrap())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Before the pipe closes: the child has ended by now, and its id may be somebody else's.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
