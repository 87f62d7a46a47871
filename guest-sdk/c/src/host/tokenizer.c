#include "llem/tokenizer.h"
#include "convert.h"

/// Returns the result of a function of a tokenizer that returns an optional token.
#define OPTIONAL_TOKEN(name) optional_token(tokenizer, WIT(models_method_tokenizer_##name))

static WIT(models_borrow_tokenizer_t) borrow(llem_tokenizer tokenizer) {
    return (WIT(models_borrow_tokenizer_t)){tokenizer.handle};
}

static llem_optional_u32 optional_token(llem_tokenizer tokenizer,
                                        bool (*function)(WIT(models_borrow_tokenizer_t), uint32_t *)) {
    llem_optional_u32 token = {0};
    token.is_some = function(borrow(tokenizer), &token.value);
    return token;
}

llem_result llem_model_tokenizer(llem_model model, llem_tokenizer *tokenizer) {
    WIT(models_own_tokenizer_t) own;
    if (!WIT(models_method_model_tokenizer)((WIT(models_borrow_model_t)){model.handle}, &own)) {
        return llem_fail(LLEM_UNSUPPORTED, "the model has no tokenizer");
    }
    *tokenizer = (llem_tokenizer){own.__handle};
    return LLEM_OK;
}

void llem_tokenizer_drop(llem_tokenizer tokenizer) {
    WIT(models_tokenizer_drop_own)((WIT(models_own_tokenizer_t)){tokenizer.handle});
}

llem_result llem_tokenizer_encode(llem_tokenizer tokenizer, const char *text, bool with_special_tokens,
                                  llem_tokens *tokens) {
    host_string_t given = wit_text(text);
    WIT(models_list_token_id_t) list;
    WIT(models_error_t) error;
    bool is_ok = WIT(models_method_tokenizer_encode)(borrow(tokenizer), &given, with_special_tokens, &list, &error);
    LLEM_TRY(result_from(is_ok, &error));
    *tokens = (llem_tokens)LIST_FROM(list);
    return LLEM_OK;
}

llem_result llem_tokenizer_decode(llem_tokenizer tokenizer, llem_tokens tokens, bool with_special_tokens,
                                  const char **text) {
    WIT(models_list_token_id_t) list = WIT_LIST(tokens);
    host_string_t decoded;
    WIT(models_error_t) error;
    bool is_ok = WIT(models_method_tokenizer_decode)(borrow(tokenizer), &list, with_special_tokens, &decoded, &error);
    LLEM_TRY(result_from(is_ok, &error));
    *text = text_from(decoded);
    return LLEM_OK;
}

llem_result llem_tokenizer_apply_chat_template(llem_tokenizer tokenizer, const llem_chat *chat, const char **text) {
    WIT(requests_chat_t) wit = wit_chat(chat);
    host_string_t rendered;
    WIT(models_error_t) error;
    bool is_ok = WIT(models_method_tokenizer_apply_chat_template)(borrow(tokenizer), &wit, &rendered, &error);
    LLEM_TRY(result_from(is_ok, &error));
    *text = text_from(rendered);
    return LLEM_OK;
}

uint32_t llem_tokenizer_vocab_size(llem_tokenizer tokenizer) {
    return WIT(models_method_tokenizer_vocab_size)(borrow(tokenizer));
}

uint32_t llem_tokenizer_added_tokens(llem_tokenizer tokenizer) {
    return WIT(models_method_tokenizer_added_tokens)(borrow(tokenizer));
}

llem_result llem_tokenizer_adds_bos(llem_tokenizer tokenizer, bool *adds_bos) {
    llem_optional_u32 bos = llem_tokenizer_bos(tokenizer);
    llem_tokens tokens = {0};
    LLEM_TRY(llem_tokenizer_encode(tokenizer, "", true, &tokens));
    *adds_bos = bos.is_some && tokens.count > 0 && tokens.items[0] == bos.value;
    return LLEM_OK;
}

llem_special_tokens llem_tokenizer_special_tokens(llem_tokenizer tokenizer) {
    WIT(models_list_special_token_t) list;
    WIT(models_method_tokenizer_special_tokens)(borrow(tokenizer), &list);
    llem_special_tokens tokens = {0};
    for (size_t index = 0; index < list.len; index++) {
        WIT(models_special_token_t) one = list.ptr[index];
        llem_push(&tokens, (llem_special_token){one.id, text_from(one.text), one.is_named});
    }
    return tokens;
}

llem_optional_u32 llem_tokenizer_bos(llem_tokenizer tokenizer) {
    return OPTIONAL_TOKEN(bos);
}

llem_optional_u32 llem_tokenizer_eos(llem_tokenizer tokenizer) {
    return OPTIONAL_TOKEN(eos);
}

llem_optional_u32 llem_tokenizer_pad(llem_tokenizer tokenizer) {
    return OPTIONAL_TOKEN(pad);
}

llem_optional_u32 llem_tokenizer_unknown(llem_tokenizer tokenizer) {
    return OPTIONAL_TOKEN(unknown);
}

const char *llem_tokenizer_token_text(llem_tokenizer tokenizer, uint32_t id) {
    host_string_t text;
    return WIT(models_method_tokenizer_token_text)(borrow(tokenizer), id, &text) ? text_from(text) : NULL;
}

llem_optional_u32 llem_tokenizer_token_of(llem_tokenizer tokenizer, const char *text) {
    host_string_t given = wit_text(text);
    llem_optional_u32 token = {0};
    token.is_some = WIT(models_method_tokenizer_token_of)(borrow(tokenizer), &given, &token.value);
    return token;
}

llem_result llem_model_ordinary_tokens(llem_model model, llem_tokens *tokens) {
    uint32_t count = WIT(models_method_model_vocab_size)((WIT(models_borrow_model_t)){model.handle});
    llem_special_tokens special = {0};
    llem_tokenizer tokenizer;
    if (llem_model_tokenizer(model, &tokenizer) == LLEM_OK) {
        uint32_t of_tokenizer = llem_tokenizer_vocab_size(tokenizer);
        count = of_tokenizer < count ? of_tokenizer : count;
        special = llem_tokenizer_special_tokens(tokenizer);
        llem_tokenizer_drop(tokenizer);
    }
    bool *is_special = llem_alloc(count * sizeof *is_special);
    for (size_t index = 0; index < special.count; index++) {
        if (special.items[index].id < count) {
            is_special[special.items[index].id] = true;
        }
    }
    llem_tokens list = {0};
    for (uint32_t token = 0; token < count; token++) {
        if (!is_special[token]) {
            llem_push(&list, token);
        }
    }
    *tokens = list;
    return LLEM_OK;
}

llem_result llem_model_tokenize(llem_model model, const char *text, llem_tokens *tokens) {
    llem_tokenizer tokenizer;
    LLEM_TRY(llem_model_tokenizer(model, &tokenizer));
    llem_result result = llem_tokenizer_encode(tokenizer, text, true, tokens);
    llem_tokenizer_drop(tokenizer);
    return result;
}

llem_result llem_model_detokenize(llem_model model, llem_tokens tokens, const char **text) {
    llem_tokenizer tokenizer;
    LLEM_TRY(llem_model_tokenizer(model, &tokenizer));
    llem_result result = llem_tokenizer_decode(tokenizer, tokens, false, text);
    llem_tokenizer_drop(tokenizer);
    return result;
}

llem_result llem_model_apply_chat_template(llem_model model, const llem_messages *messages, const char **text) {
    llem_tokenizer tokenizer;
    LLEM_TRY(llem_model_tokenizer(model, &tokenizer));
    llem_result result =
        llem_tokenizer_apply_chat_template(tokenizer, &(llem_chat){.messages = *messages}, text);
    llem_tokenizer_drop(tokenizer);
    return result;
}
