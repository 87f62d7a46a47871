//! What a script asks of a model.

use llem_engine::Request;
use llem_record::event::RequestRecord;

/// A script's request.
pub struct Asked {
    /// Names it in the record.
    pub label: String,
    /// What is asked.
    pub request: Request,
    /// What is kept of it. It is numbered once it is known that it can be served.
    pub record: RequestRecord,
}
