//! Why a dataset cannot be read, as scripts are told.

use super::{file_error::FileError, row_error::RowError, text_column::MissingColumn};
use crate::error::{Refusal, shorten};
use std::sync::Arc;

/// The most characters of a message about a row or a column. Such a message may quote a cell of any length.
const SENTENCE: usize = 1_000;

/// Why a dataset cannot be read. The sentence begins with the dataset's name and its file.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", sentence(.subject, .cause))]
pub(crate) struct DatasetError {
    /// The dataset and its file.
    subject: String,
    cause: Arc<DatasetCause>,
}

/// What is wrong with a dataset.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatasetCause {
    /// The file cannot be opened, or its beginning is damaged.
    #[error(transparent)]
    File(#[from] FileError),
    /// A row cannot be read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The first row lacks the column that the script asks for.
    #[error(transparent)]
    MissingColumn(#[from] MissingColumn),
}

impl DatasetError {
    pub(super) fn new(subject: &str, cause: impl Into<DatasetCause>) -> Self {
        Self { subject: subject.to_owned(), cause: Arc::new(cause.into()) }
    }
}

fn sentence(subject: &str, cause: &DatasetCause) -> String {
    match cause {
        DatasetCause::File(error) => format!("{subject}: {error}"),
        DatasetCause::Row(_) | DatasetCause::MissingColumn(_) => {
            shorten(format!("{subject}, {cause}"), SENTENCE)
        }
    }
}

impl From<DatasetError> for Refusal {
    fn from(error: DatasetError) -> Self {
        let sentence = error.to_string();
        match *error.cause {
            DatasetCause::MissingColumn(_) => Self::NotFound(sentence),
            DatasetCause::File(_) | DatasetCause::Row(_) => Self::InvalidArgument(sentence),
        }
    }
}
