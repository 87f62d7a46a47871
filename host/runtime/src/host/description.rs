//! The interface `description.wit`. It is implemented for the store of a run and for the store of `describe`.

use crate::{
    about::{About, MEMORY},
    bindings::description,
    describe::DescribeData,
    error::Halt,
    store_data::StoreData,
};
use wasmtime::component::Resource;

/// Refuses a description that takes more host memory than any valid component needs.
fn check(about: &About) -> wasmtime::Result<()> {
    match about.bytes() > MEMORY {
        true => Err(Halt::Limit(format!(
            "it says more of itself than {MEMORY} bytes: declare fewer parameters and datasets, in fewer words"
        ))
        .trap()),
        false => Ok(()),
    }
}

/// Implements the interface for a store's data.
macro_rules! describes {
    ($store:ty) => {
        impl description::Host for $store {}

        impl description::HostAbout for $store {
            fn new(
                &mut self,
                name: String,
                version: String,
                summary: String,
            ) -> wasmtime::Result<Resource<About>> {
                let about = About::new(name, version, summary);
                check(&about)?;
                Ok(self.table.push(about)?)
            }

            fn name(&mut self, about: Resource<About>) -> wasmtime::Result<String> {
                Ok(self.table.get(&about)?.name.clone())
            }

            fn version(&mut self, about: Resource<About>) -> wasmtime::Result<String> {
                Ok(self.table.get(&about)?.version.clone())
            }

            fn summary(&mut self, about: Resource<About>) -> wasmtime::Result<String> {
                Ok(self.table.get(&about)?.summary.clone())
            }

            fn add_parameter(
                &mut self,
                about: Resource<About>,
                parameter: description::Parameter,
            ) -> wasmtime::Result<()> {
                let about = self.table.get_mut(&about)?;
                about.add_parameter(parameter);
                check(about)
            }

            fn parameters(
                &mut self,
                about: Resource<About>,
            ) -> wasmtime::Result<Vec<description::Parameter>> {
                Ok(self.table.get(&about)?.parameters.clone())
            }

            fn add_dataset(
                &mut self,
                about: Resource<About>,
                dataset: description::DatasetInput,
            ) -> wasmtime::Result<()> {
                let about = self.table.get_mut(&about)?;
                about.add_dataset(dataset);
                check(about)
            }

            fn datasets(
                &mut self,
                about: Resource<About>,
            ) -> wasmtime::Result<Vec<description::DatasetInput>> {
                Ok(self.table.get(&about)?.datasets.clone())
            }

            fn set_clocks(
                &mut self,
                about: Resource<About>,
                clocks: description::Clocks,
            ) -> wasmtime::Result<()> {
                self.table.get_mut(&about)?.clocks = clocks;
                Ok(())
            }

            fn clocks(&mut self, about: Resource<About>) -> wasmtime::Result<description::Clocks> {
                Ok(self.table.get(&about)?.clocks)
            }

            fn drop(&mut self, about: Resource<About>) -> wasmtime::Result<()> {
                self.table.delete(about)?;
                Ok(())
            }
        }
    };
}

describes!(StoreData);
describes!(DescribeData);
