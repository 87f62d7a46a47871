/// Requests: prompts, and how their tokens are chosen.
#ifndef LLEM_REQUEST_H
#define LLEM_REQUEST_H

#include "memory.h"

/// A value of a parameter, of a field of a dataset row, or of a chat template's variable.
typedef struct llem_value {
    /// The type of the value.
    enum llem_value_kind { LLEM_TEXT, LLEM_INTEGER, LLEM_NUMBER, LLEM_BOOLEAN } kind;
    union {
        const char *text;
        int64_t integer;
        double number;
        bool boolean;
    };
} llem_value;

/// A turn of a conversation.
typedef struct llem_message {
    /// The speaker: `system`, `user`, `assistant` or another name that the template knows.
    const char *role;
    /// The text of the turn.
    const char *content;
} llem_message;

LLEM_LIST(llem_messages, llem_message);

/// The name and value of a chat template's variable: `enable_thinking`, false.
typedef struct llem_chat_argument {
    const char *name;
    llem_value value;
} llem_chat_argument;

LLEM_LIST(llem_chat_arguments, llem_chat_argument);

/// A conversation, which the model's chat template renders.
typedef struct llem_chat {
    /// The turns of the conversation.
    llem_messages messages;
    /// Further variables of the chat template. Among them `add_generation_prompt` is true unless it is set here.
    llem_chat_arguments arguments;
} llem_chat;

/// The prompt of a sequence.
typedef struct llem_prompt {
    /// The form of the prompt.
    enum llem_prompt_kind { LLEM_PROMPT_TEXT, LLEM_PROMPT_TOKENS, LLEM_PROMPT_CHAT } kind;
    union {
        /// Text, which is encoded with the special tokens that the tokenizer adds.
        const char *text;
        /// Token ids, which are used without change. At least one.
        llem_tokens tokens;
        /// A conversation, which the model's chat template renders.
        llem_chat chat;
    };
} llem_prompt;

LLEM_LIST(llem_prompts, llem_prompt);

/// A token and the number that is added to its logit.
typedef struct llem_logit_bias {
    uint32_t token;
    float bias;
} llem_logit_bias;

LLEM_LIST(llem_logit_biases, llem_logit_bias);

/// Options that decide how tokens are chosen. Values out of range are refused when the request is submitted. Create it
/// with `llem_sampling_greedy` or `llem_sampling_with_temperature`, which set the other fields to change nothing.
typedef struct llem_sampling {
    /// The divisor of logits. 0 means greedy: the most likely token is chosen without a random draw.
    float temperature;
    /// The number of most likely tokens that are kept, at least 1. Absent keeps all.
    llem_optional_u32 top_k;
    /// The probability that the smallest set of kept tokens reaches, in (0, 1] (nucleus sampling).
    llem_optional_f32 top_p;
    /// The minimum probability of kept tokens, as a share of the most likely token's, in [0, 1] (arXiv 2407.01082).
    llem_optional_f32 min_p;
    /// The number above 0 by which the logits of tokens in prompt and output are divided (if positive) or multiplied
    /// (if negative) (CTRL, arXiv 1909.05858). 1 changes nothing.
    float repetition_penalty;
    /// The number that is subtracted from a token's logit for each time that the token was generated.
    float frequency_penalty;
    /// The number that is subtracted from the logit of each token that was generated.
    float presence_penalty;
    /// Tokens and the numbers that are added to their logits.
    llem_logit_biases logit_bias;
    /// The seed of the request's random numbers: sequence i draws from stream i of this seed. Absent means the run's
    /// seed.
    llem_optional_u64 seed;
} llem_sampling;

/// Chooses the most likely token.
llem_sampling llem_sampling_greedy(void);

/// Samples from all tokens at this temperature.
llem_sampling llem_sampling_with_temperature(float temperature);

/// The adapter of one prompt: its name, or `NULL` for the base weights.
typedef const char *llem_adapter_choice;

LLEM_LIST(llem_adapter_choices, llem_adapter_choice);

/// The adapters of a request's prompts.
typedef struct llem_adapter_selection {
    enum llem_adapter_selection_kind {
        /// All prompts run with the model's adapter (`llem_model_use_adapter`).
        LLEM_ADAPTER_OF_MODEL,
        /// All prompts run with the first choice.
        LLEM_ADAPTER_SAME,
        /// Each prompt has its own choice, in the order of the prompts.
        LLEM_ADAPTER_EACH,
    } kind;
    /// The choices.
    llem_adapter_choices choices;
} llem_adapter_selection;

/// Prompts that are run together, and how their tokens are chosen. Create it with one of the functions below, then set
/// fields.
typedef struct llem_request {
    /// The name of the request in the record. Results are grouped by it.
    const char *label;
    /// The prompts. Each becomes one sequence. At least one.
    llem_prompts prompts;
    /// The maximum number of tokens to generate for a sequence. With 0 the prompt is run and nothing is sampled.
    uint32_t max_new_tokens;
    /// The minimum number of tokens to generate for a sequence. Tokens that would end it earlier are not chosen.
    uint32_t min_new_tokens;
    /// Whether sequences continue after end-of-sequence tokens, so that every output has `max_new_tokens` tokens.
    bool ignore_eos;
    /// Texts that end a sequence when its output contains one of them.
    llem_texts stop_texts;
    /// Tokens that end a sequence, in addition to the model's own. They count even if `ignore_eos` is set.
    llem_tokens stop_tokens;
    /// How tokens are chosen. Greedy by default.
    llem_sampling sampling;
    /// The number of most likely tokens, at most 20, whose log-probabilities are returned for each position besides the
    /// chosen token's. 0 returns only the chosen token's, and absent returns none.
    llem_optional_u32 log_probabilities;
    /// Whether the LM head is computed for all positions of a prompt. Only allowed if `max_new_tokens` is 0.
    bool all_prompt_logits;
    /// Tokens that decode uses instead of choosing them, one list for each prompt. Empty means that tokens are chosen.
    llem_token_lists given_tokens;
    /// Whether the script chooses each token (`llem_batch_choose`). In continuous batches only.
    bool script_chooses;
    /// The adapters that the prompts run with.
    llem_adapter_selection adapters;
    /// Whether the cache of a sequence is kept when the sequence ends, for `llem_batch_submit_after`. In continuous
    /// batches only.
    bool holds_cache;
    /// When the runner sends the request, in ns from the beginning of the measurement. Absent means as soon as the
    /// schedule allows it.
    llem_optional_u64 arrival;
} llem_request;

LLEM_LIST(llem_requests, llem_request);

/// Creates a request with one prompt of text. It generates at most 32 tokens, greedily, and has the label `request`.
llem_request llem_request_from_text(const char *prompt);

/// Creates a request with one prompt of token ids.
llem_request llem_request_from_tokens(llem_tokens tokens);

/// Creates a request with one conversation.
llem_request llem_request_from_chat(llem_messages messages);

/// Creates a request with several prompts: a static batch, or several sequences of a continuous batch.
llem_request llem_request_from_prompts(llem_prompts prompts);

#endif
