//! Decides whether the LM head is tied, which means that it is the embedding's matrix. `config.json` says so, but the
//! files may contradict it. The rules are those of transformers 5 (`PreTrainedModel.tie_weights`):
//!
//! | config | embedding | head | result |
//! |---|---|---|---|
//! | tied | in the files | absent, or equal to the embedding | the embedding is the head |
//! | tied | in the files | different | embedding and head are separate |
//! | tied | absent | in the files | the head is the embedding |
//! | not tied | in the files | in the files | embedding and head are separate |
//! | any | otherwise | | refused (transformers makes a random tensor) |

use super::SafetensorsFiles;
use crate::{Result, families::Shape};

impl SafetensorsFiles {
    /// Applies the table to a model whose config says that the head is tied. Returns a warning if it is not.
    pub(super) fn tie_head(&mut self, shape: &mut Shape) -> Result<Option<String>> {
        let embedding = format!("{}.{}.weight", shape.names.base, shape.names.embedding);
        let head = format!("{}.weight", shape.names.head);
        let Some(head_location) = self.locations.get(&head).filter(|_| shape.tied_head).cloned()
        else {
            return Ok(None);
        };
        let Some(embedding_location) = self.locations.get(&embedding) else {
            self.locations.remove(&head);
            self.locations.insert(embedding, head_location);
            return Ok(None);
        };
        let dims = [shape.vocab, shape.hidden];
        let [embedding_shape, head_shape] = [embedding_location, &head_location]
            .map(|location| self.files[location.file].shape(&location.name));
        if embedding_shape == head_shape
            && self.find(&embedding, &dims)?.equals(&self.find(&head, &dims)?)
        {
            self.locations.remove(&head);
            return Ok(None);
        }
        shape.tied_head = false;
        Ok(Some(format!(
            "config.json says tie_word_embeddings, but {head} is not {embedding}: each is used for itself, as in \
             transformers; set tie_word_embeddings to false to say so"
        )))
    }
}
