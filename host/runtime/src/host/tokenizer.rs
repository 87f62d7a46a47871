//! `models.wit`, the resource `tokenizer`.

use super::{requests::conversation, types::Told};
use crate::{
    bindings::{models, requests},
    error::Refusal,
    resources::Tokens,
    state::State,
};
use wasmtime::component::Resource;

impl models::HostTokenizer for State {
    async fn encode(
        &mut self,
        tokenizer: Resource<Tokens>,
        text: String,
        with_special_tokens: bool,
    ) -> Told<Vec<u32>> {
        self.asked(&tokenizer, move |tokens| tokens.0.encode(&text, with_special_tokens)).await
    }

    async fn decode(
        &mut self,
        tokenizer: Resource<Tokens>,
        tokens: Vec<u32>,
        with_special_tokens: bool,
    ) -> Told<String> {
        self.asked(&tokenizer, move |own| own.0.decode(&tokens, with_special_tokens)).await
    }

    async fn apply_chat_template(
        &mut self,
        tokenizer: Resource<Tokens>,
        chat: requests::Chat,
    ) -> Told<String> {
        let (messages, arguments) = conversation(chat);
        self.asked(&tokenizer, move |tokens| tokens.render(&messages, &arguments)).await
    }

    fn drop(&mut self, tokenizer: Resource<Tokens>) -> wasmtime::Result<()> {
        self.table.delete(tokenizer)?;
        Ok(())
    }
}

impl State {
    /// Asks a tokenizer something that may take long, off this thread.
    async fn asked<T: Send + 'static>(
        &mut self,
        tokenizer: &Resource<Tokens>,
        job: impl FnOnce(&Tokens) -> llem_engine::Result<T> + Send + 'static,
    ) -> Told<T> {
        let tokens = self.table.get(tokenizer)?.clone();
        let answer = tokio::task::spawn_blocking(move || job(&tokens)).await?;
        self.told(answer.map_err(Refusal::from))
    }
}
