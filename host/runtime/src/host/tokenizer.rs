//! The resource `tokenizer` of `models.wit`.

use super::types::HostResult;
use crate::{
    bindings::{models, requests},
    error::Refusal,
    store_data::StoreData,
};
use llem_engine::{SpecialToken, TextTools};
use wasmtime::component::Resource;

impl models::HostTokenizer for StoreData {
    async fn encode(
        &mut self,
        tokenizer: Resource<TextTools>,
        text: String,
        with_special_tokens: bool,
    ) -> HostResult<Vec<u32>> {
        self.run_blocking(&tokenizer, move |tokens| {
            Ok(tokens.tokenizer.encode(&text, with_special_tokens)?)
        })
        .await
    }

    async fn decode(
        &mut self,
        tokenizer: Resource<TextTools>,
        tokens: Vec<u32>,
        with_special_tokens: bool,
    ) -> HostResult<String> {
        self.run_blocking(&tokenizer, move |own| {
            let is_known = |token: &u32| own.tokenizer.token_text(*token).is_some();
            match tokens.iter().find(|token| !is_known(token)) {
                None => Ok(own.tokenizer.decode(&tokens, with_special_tokens)?),
                Some(token) => Err(llem_engine::Error::Invalid(format!(
                    "token {token} is none of the tokenizer's {}",
                    own.facts().vocabulary
                ))),
            }
        })
        .await
    }

    async fn apply_chat_template(
        &mut self,
        tokenizer: Resource<TextTools>,
        chat: requests::Chat,
    ) -> HostResult<String> {
        self.run_blocking(&tokenizer, move |tokens| tokens.render(&chat.into())).await
    }

    fn vocab_size(&mut self, tokenizer: Resource<TextTools>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&tokenizer)?.facts().vocabulary as u32)
    }

    fn added_tokens(&mut self, tokenizer: Resource<TextTools>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&tokenizer)?.facts().added_by_encoding as u32)
    }

    fn special_tokens(
        &mut self,
        tokenizer: Resource<TextTools>,
    ) -> wasmtime::Result<Vec<models::SpecialToken>> {
        let special = self.table.get(&tokenizer)?.facts().special.clone();
        let seen =
            |SpecialToken { id, text, is_named }| models::SpecialToken { id, text, is_named };
        Ok(special.into_iter().map(seen).collect())
    }

    fn bos(&mut self, tokenizer: Resource<TextTools>) -> wasmtime::Result<Option<u32>> {
        Ok(self.table.get(&tokenizer)?.facts().bos.as_ref().map(|token| token.id))
    }

    fn eos(&mut self, tokenizer: Resource<TextTools>) -> wasmtime::Result<Option<u32>> {
        Ok(self.table.get(&tokenizer)?.facts().eos.as_ref().map(|token| token.id))
    }

    fn pad(&mut self, tokenizer: Resource<TextTools>) -> wasmtime::Result<Option<u32>> {
        Ok(self.table.get(&tokenizer)?.facts().pad.as_ref().map(|token| token.id))
    }

    fn unknown(&mut self, tokenizer: Resource<TextTools>) -> wasmtime::Result<Option<u32>> {
        Ok(self.table.get(&tokenizer)?.facts().unk.as_ref().map(|token| token.id))
    }

    fn token_text(
        &mut self,
        tokenizer: Resource<TextTools>,
        id: u32,
    ) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&tokenizer)?.tokenizer.token_text(id))
    }

    fn token_of(
        &mut self,
        tokenizer: Resource<TextTools>,
        text: String,
    ) -> wasmtime::Result<Option<u32>> {
        Ok(self.table.get(&tokenizer)?.tokenizer.token_id(&text))
    }

    fn drop(&mut self, tokenizer: Resource<TextTools>) -> wasmtime::Result<()> {
        self.table.delete(tokenizer)?;
        Ok(())
    }
}

impl StoreData {
    /// Runs tokenizer work that may take long on another thread.
    async fn run_blocking<T: Send + 'static>(
        &mut self,
        tokenizer: &Resource<TextTools>,
        job: impl FnOnce(&TextTools) -> llem_engine::Result<T> + Send + 'static,
    ) -> HostResult<T> {
        let tokens = self.table.get(tokenizer)?.clone();
        let answer = tokio::task::spawn_blocking(move || job(&tokens)).await?;
        self.reply(answer.map_err(Refusal::from))
    }
}
