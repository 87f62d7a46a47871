//! Whether the LM head is the embedding. config.json says so, and the files may say otherwise; transformers 5 goes by
//! both (`PreTrainedModel.tie_weights`):
//!
//! | config | embedding | head | what runs |
//! |---|---|---|---|
//! | tied | there | absent, or equal to it | the embedding is the head |
//! | tied | there | another | each for itself |
//! | tied | absent | there | the head is the embedding |
//! | not tied | there | there | each for itself |
//! | any | otherwise | | refused; transformers makes a random one |

use super::SafetensorsFiles;
use crate::{Result, families::Shape};

impl SafetensorsFiles {
    /// Applies the table to a model that config.json says is tied.
    pub(super) fn tie_head(&mut self, shape: &mut Shape) -> Result<Option<String>> {
        let embedding = format!("{}.{}.weight", shape.names.base, shape.names.embedding);
        let head = format!("{}.weight", shape.names.head);
        let Some(kept) = self.places.get(&head).filter(|_| shape.tied_head).cloned() else {
            return Ok(None);
        };
        let Some(table) = self.places.get(&embedding) else {
            self.places.remove(&head);
            self.places.insert(embedding, kept);
            return Ok(None);
        };
        let dims = [shape.vocab, shape.hidden];
        let (table, of_head) =
            (self.files[table.file].shape(&table.name), self.files[kept.file].shape(&kept.name));
        if table == of_head && self.find(&embedding, &dims)?.equals(&self.find(&head, &dims)?) {
            self.places.remove(&head);
            return Ok(None);
        }
        shape.tied_head = false;
        Ok(Some(format!(
            "config.json says tie_word_embeddings, but {head} is not {embedding}: each is used for itself, as in \
             transformers; set tie_word_embeddings to false to say so"
        )))
    }
}
