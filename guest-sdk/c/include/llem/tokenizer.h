/// Tokenizers: text to tokens and back.
#ifndef LLEM_TOKENIZER_H
#define LLEM_TOKENIZER_H

#include "inputs.h"
#include "model.h"

/// The tokenizer of a model.
typedef struct llem_tokenizer {
    int32_t handle;
} llem_tokenizer;

/// A token that is matched in text before the model of the tokenizer runs.
typedef struct llem_special_token {
    /// The id of the token.
    uint32_t id;
    /// The text of the token.
    const char *text;
    /// Whether the tokenizer's configuration names the token, as `bos`, `eos` and so on.
    bool is_named;
} llem_special_token;

LLEM_LIST(llem_special_tokens, llem_special_token);

/// Returns the model's tokenizer. Fails with `LLEM_UNSUPPORTED` if the model's folder has none.
llem_result llem_model_tokenizer(llem_model model, llem_tokenizer *tokenizer);

/// Frees the tokenizer.
void llem_tokenizer_drop(llem_tokenizer tokenizer);

/// Encodes text as tokens, with or without the special tokens that the tokenizer adds.
llem_result llem_tokenizer_encode(llem_tokenizer tokenizer, const char *text, bool with_special_tokens,
                                  llem_tokens *tokens);

/// Decodes tokens to text, with or without special tokens.
llem_result llem_tokenizer_decode(llem_tokenizer tokenizer, llem_tokens tokens, bool with_special_tokens,
                                  const char **text);

/// Renders a conversation with the model's chat template.
llem_result llem_tokenizer_apply_chat_template(llem_tokenizer tokenizer, const llem_chat *chat, const char **text);

/// Returns the number of tokens in the vocabulary, with added tokens.
uint32_t llem_tokenizer_vocab_size(llem_tokenizer tokenizer);

/// Returns the number of special tokens that `llem_tokenizer_encode` adds to a text.
uint32_t llem_tokenizer_added_tokens(llem_tokenizer tokenizer);

/// Returns whether encoding puts the token that begins a text before it.
llem_result llem_tokenizer_adds_bos(llem_tokenizer tokenizer, bool *adds_bos);

/// Returns the special tokens.
llem_special_tokens llem_tokenizer_special_tokens(llem_tokenizer tokenizer);

/// Returns the token that begins a sequence, if there is one.
llem_optional_u32 llem_tokenizer_bos(llem_tokenizer tokenizer);
/// Returns the token that ends a sequence, if there is one.
llem_optional_u32 llem_tokenizer_eos(llem_tokenizer tokenizer);
/// Returns the token for padding, if there is one.
llem_optional_u32 llem_tokenizer_pad(llem_tokenizer tokenizer);
/// Returns the token for unknown text, if there is one.
llem_optional_u32 llem_tokenizer_unknown(llem_tokenizer tokenizer);

/// Returns the text of a token as the vocabulary has it, or `NULL` if there is no such token.
const char *llem_tokenizer_token_text(llem_tokenizer tokenizer, uint32_t id);

/// Returns the token with this text in the vocabulary, if there is one.
llem_optional_u32 llem_tokenizer_token_of(llem_tokenizer tokenizer, const char *text);

/// Returns the tokens that stand for text: those of the tokenizer, without special ones, that the model has. Of a model
/// without a tokenizer they are all tokens.
llem_result llem_model_ordinary_tokens(llem_model model, llem_tokens *tokens);

/// Draws a prompt of random ordinary tokens for each length. Each of the tokens has the same
/// probability.
llem_result llem_model_random_prompts(llem_model model, llem_random random, const llem_tokens *lengths,
                                      llem_token_lists *prompts);

/// Encodes text as tokens, with the special tokens that the tokenizer adds.
llem_result llem_model_tokenize(llem_model model, const char *text, llem_tokens *tokens);

/// Decodes tokens to text, without special tokens.
llem_result llem_model_detokenize(llem_model model, llem_tokens tokens, const char **text);

/// Renders a conversation with the model's chat template, ready for the assistant's turn.
llem_result llem_model_apply_chat_template(llem_model model, const llem_messages *messages, const char **text);

#endif
