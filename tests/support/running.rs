//! A child that does not outlive its test.

use super::CommandOutput;
use std::{
    ops::{Deref, DerefMut},
    process::{Child, Command},
};

/// A child that is killed when its test ends, also if the test fails.
pub struct Running(Option<Child>);

impl Running {
    /// Starts the command.
    pub fn start(command: &mut Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    /// Returns the child, which the caller waits for.
    pub fn into_child(mut self) -> Child {
        self.0.take().unwrap()
    }

    /// Waits for the child, and returns how it ended.
    pub fn end(mut self) -> CommandOutput {
        CommandOutput::from_output(self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        self.0.as_ref().unwrap()
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // Both fail if the child has ended and been waited for, as it should.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
