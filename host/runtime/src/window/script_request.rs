use llem_engine::Request;
use llem_record::RequestRecord;

/// A script's request for the engine, with its entry in the record.
pub(crate) struct ScriptRequest {
    pub label: String,
    pub request: Request,
    /// The request's entry in the record. It gets its number once the engine has accepted it.
    pub record: RequestRecord,
}
