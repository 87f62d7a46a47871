//! Components by their file, or by the name of one that ships with the program.

/// Reads a component from its file, or returns the one that ships with this program under that name.
pub(super) fn read_component(name: &str) -> Result<Vec<u8>, llem_runtime::Error> {
    if name == "quickstart" {
        return Ok(include_bytes!("../../../../scripts/quickstart/quickstart.wasm").to_vec());
    }
    std::fs::read(name).map_err(|error| {
        llem_runtime::Error::Input(format!(
            "cannot read {name}: {error}; give a .wasm file, or quickstart"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_cannot_be_read_is_bad_input() {
        assert!(read_component("quickstart").is_ok());
        let error = read_component("/nowhere/x.wasm").expect_err("there is no such file");
        assert_eq!(error.kind(), llem_runtime::ErrorKind::Input);
    }
}
