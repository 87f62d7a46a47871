#include "convert.h"

WIT(requests_chat_t) wit_chat(const llem_chat *chat) {
    WIT(requests_message_t) *messages = llem_alloc(chat->messages.count * sizeof *messages);
    for (size_t index = 0; index < chat->messages.count; index++) {
        llem_message message = chat->messages.items[index];
        messages[index] = (WIT(requests_message_t)){wit_text(message.role), wit_text(message.content)};
    }
    WIT(requests_chat_argument_t) *arguments = llem_alloc(chat->arguments.count * sizeof *arguments);
    for (size_t index = 0; index < chat->arguments.count; index++) {
        llem_chat_argument argument = chat->arguments.items[index];
        arguments[index] = (WIT(requests_chat_argument_t)){wit_text(argument.name), wit_value(argument.value)};
    }
    return (WIT(requests_chat_t)){{messages, chat->messages.count}, {arguments, chat->arguments.count}};
}

static llem_chat chat_from(WIT(requests_chat_t) from) {
    llem_chat to = {0};
    for (size_t index = 0; index < from.messages.len; index++) {
        WIT(requests_message_t) message = from.messages.ptr[index];
        llem_push(&to.messages, (llem_message){text_from(message.role), text_from(message.content)});
    }
    for (size_t index = 0; index < from.arguments.len; index++) {
        WIT(requests_chat_argument_t) argument = from.arguments.ptr[index];
        llem_push(&to.arguments, (llem_chat_argument){text_from(argument.f0), value_from(argument.f1)});
    }
    return to;
}

static WIT(requests_adapter_choice_t) wit_choice(llem_adapter_choice choice) {
    if (choice == NULL) {
        return (WIT(requests_adapter_choice_t)){.tag = LLEM_EXPERIMENT_REQUESTS_ADAPTER_CHOICE_BASE_WEIGHTS};
    }
    return (WIT(requests_adapter_choice_t)){
        .tag = LLEM_EXPERIMENT_REQUESTS_ADAPTER_CHOICE_NAMED,
        .val.named = wit_text(choice),
    };
}

static llem_adapter_choice choice_from(WIT(requests_adapter_choice_t) from) {
    return from.tag == LLEM_EXPERIMENT_REQUESTS_ADAPTER_CHOICE_NAMED ? text_from(from.val.named) : NULL;
}

static void set_adapters(WIT(requests_borrow_request_t) to, const llem_adapter_selection *from) {
    WIT(requests_adapter_selection_t) selection = {.tag = LLEM_EXPERIMENT_REQUESTS_ADAPTER_SELECTION_OF_MODEL};
    if (from->kind == LLEM_ADAPTER_SAME) {
        llem_check(from->choices.count == 1);
        selection.tag = LLEM_EXPERIMENT_REQUESTS_ADAPTER_SELECTION_SAME;
        selection.val.same = wit_choice(from->choices.items[0]);
    } else if (from->kind == LLEM_ADAPTER_EACH) {
        WIT(requests_adapter_choice_t) *choices = llem_alloc(from->choices.count * sizeof *choices);
        for (size_t index = 0; index < from->choices.count; index++) {
            choices[index] = wit_choice(from->choices.items[index]);
        }
        selection.tag = LLEM_EXPERIMENT_REQUESTS_ADAPTER_SELECTION_EACH;
        selection.val.each.ptr = choices;
        selection.val.each.len = from->choices.count;
    }
    WIT(requests_method_request_set_adapters)(to, &selection);
}

static llem_adapter_selection adapters_from(WIT(requests_borrow_request_t) from) {
    WIT(requests_adapter_selection_t) selection;
    WIT(requests_method_request_adapters)(from, &selection);
    llem_adapter_selection to = {.kind = LLEM_ADAPTER_OF_MODEL};
    if (selection.tag == LLEM_EXPERIMENT_REQUESTS_ADAPTER_SELECTION_SAME) {
        to.kind = LLEM_ADAPTER_SAME;
        llem_push(&to.choices, choice_from(selection.val.same));
    } else if (selection.tag == LLEM_EXPERIMENT_REQUESTS_ADAPTER_SELECTION_EACH) {
        to.kind = LLEM_ADAPTER_EACH;
        for (size_t index = 0; index < selection.val.each.len; index++) {
            llem_push(&to.choices, choice_from(selection.val.each.ptr[index]));
        }
    }
    return to;
}

static void set_sampling(WIT(requests_borrow_request_t) to, llem_sampling *from) {
    WIT(requests_list_tuple2_token_id_f32_t) bias = WIT_LIST(from->logit_bias);
    WIT(requests_method_request_set_temperature)(to, from->temperature);
    WIT(requests_method_request_set_top_k)(to, MAYBE(from->top_k));
    WIT(requests_method_request_set_top_p)(to, MAYBE(from->top_p));
    WIT(requests_method_request_set_min_p)(to, MAYBE(from->min_p));
    WIT(requests_method_request_set_repetition_penalty)(to, from->repetition_penalty);
    WIT(requests_method_request_set_frequency_penalty)(to, from->frequency_penalty);
    WIT(requests_method_request_set_presence_penalty)(to, from->presence_penalty);
    WIT(requests_method_request_set_logit_bias)(to, &bias);
    WIT(requests_method_request_set_seed)(to, MAYBE(from->seed));
}

static llem_sampling sampling_from(WIT(requests_borrow_request_t) from) {
    WIT(requests_list_tuple2_token_id_f32_t) bias;
    WIT(requests_method_request_logit_bias)(from, &bias);
    llem_sampling to = {
        .temperature = WIT(requests_method_request_temperature)(from),
        .repetition_penalty = WIT(requests_method_request_repetition_penalty)(from),
        .frequency_penalty = WIT(requests_method_request_frequency_penalty)(from),
        .presence_penalty = WIT(requests_method_request_presence_penalty)(from),
        .logit_bias = LIST_FROM(bias),
    };
    to.top_k.is_some = WIT(requests_method_request_top_k)(from, &to.top_k.value);
    to.top_p.is_some = WIT(requests_method_request_top_p)(from, &to.top_p.value);
    to.min_p.is_some = WIT(requests_method_request_min_p)(from, &to.min_p.value);
    to.seed.is_some = WIT(requests_method_request_seed)(from, &to.seed.value);
    return to;
}

static void add_prompt(WIT(requests_borrow_request_t) to, const llem_prompt *prompt) {
    if (prompt->kind == LLEM_PROMPT_TEXT) {
        host_string_t text = wit_text(prompt->text);
        WIT(requests_method_request_add_text)(to, &text);
    } else if (prompt->kind == LLEM_PROMPT_TOKENS) {
        WIT(requests_list_token_id_t) tokens = WIT_LIST(prompt->tokens);
        WIT(requests_method_request_add_tokens)(to, &tokens);
    } else {
        WIT(requests_chat_t) chat = wit_chat(&prompt->chat);
        WIT(requests_method_request_add_chat)(to, &chat);
    }
}

static llem_prompt prompt_from(WIT(requests_borrow_request_t) from, uint32_t index) {
    host_string_t text;
    WIT(requests_list_token_id_t) tokens;
    WIT(requests_chat_t) chat;
    if (WIT(requests_method_request_prompt_text)(from, index, &text)) {
        return (llem_prompt){.kind = LLEM_PROMPT_TEXT, .text = text_from(text)};
    }
    if (WIT(requests_method_request_prompt_tokens)(from, index, &tokens)) {
        return (llem_prompt){.kind = LLEM_PROMPT_TOKENS, .tokens = LIST_FROM(tokens)};
    }
    llem_check(WIT(requests_method_request_prompt_chat)(from, index, &chat));
    return (llem_prompt){.kind = LLEM_PROMPT_CHAT, .chat = chat_from(chat)};
}

WIT(requests_own_request_t) wit_request(const llem_request *request) {
    llem_request from = *request;
    host_string_t label = wit_text(from.label);
    WIT(requests_own_request_t) own = WIT(requests_constructor_request)(&label);
    WIT(requests_borrow_request_t) to = WIT(requests_borrow_request)(own);
    for (size_t index = 0; index < from.prompts.count; index++) {
        add_prompt(to, &from.prompts.items[index]);
    }
    host_list_string_t stop_texts = wit_texts(from.stop_texts);
    WIT(requests_list_token_id_t) stop_tokens = WIT_LIST(from.stop_tokens);
    WIT(requests_list_token_id_t) *lists = llem_alloc(from.given_tokens.count * sizeof *lists);
    for (size_t index = 0; index < from.given_tokens.count; index++) {
        lists[index] = (WIT(requests_list_token_id_t))WIT_LIST(from.given_tokens.items[index]);
    }
    WIT(requests_list_list_token_id_t) given = {lists, from.given_tokens.count};
    WIT(requests_method_request_set_max_new_tokens)(to, from.max_new_tokens);
    WIT(requests_method_request_set_min_new_tokens)(to, from.min_new_tokens);
    WIT(requests_method_request_set_ignores_eos)(to, from.ignore_eos);
    WIT(requests_method_request_set_stop_texts)(to, &stop_texts);
    WIT(requests_method_request_set_stop_tokens)(to, &stop_tokens);
    set_sampling(to, &from.sampling);
    WIT(requests_method_request_set_log_probabilities)(to, MAYBE(from.log_probabilities));
    WIT(requests_method_request_set_all_prompt_logits)(to, from.all_prompt_logits);
    WIT(requests_method_request_set_given_tokens)(to, &given);
    WIT(requests_method_request_set_script_chooses)(to, from.script_chooses);
    set_adapters(to, &from.adapters);
    WIT(requests_method_request_set_holds_cache)(to, from.holds_cache);
    WIT(requests_method_request_set_arrival)(to, MAYBE(from.arrival));
    return own;
}

llem_request request_from(WIT(requests_borrow_request_t) from) {
    host_string_t label;
    host_list_string_t stop_texts;
    WIT(requests_list_token_id_t) stop_tokens;
    WIT(requests_list_list_token_id_t) given;
    WIT(requests_method_request_label)(from, &label);
    WIT(requests_method_request_stop_texts)(from, &stop_texts);
    WIT(requests_method_request_stop_tokens)(from, &stop_tokens);
    WIT(requests_method_request_given_tokens)(from, &given);
    llem_request to = {
        .label = text_from(label),
        .max_new_tokens = WIT(requests_method_request_max_new_tokens)(from),
        .min_new_tokens = WIT(requests_method_request_min_new_tokens)(from),
        .ignore_eos = WIT(requests_method_request_ignores_eos)(from),
        .stop_texts = texts_from(stop_texts),
        .stop_tokens = LIST_FROM(stop_tokens),
        .sampling = sampling_from(from),
        .all_prompt_logits = WIT(requests_method_request_all_prompt_logits)(from),
        .script_chooses = WIT(requests_method_request_script_chooses)(from),
        .adapters = adapters_from(from),
        .holds_cache = WIT(requests_method_request_holds_cache)(from),
    };
    uint32_t prompts = WIT(requests_method_request_prompts)(from);
    for (uint32_t index = 0; index < prompts; index++) {
        llem_push(&to.prompts, prompt_from(from, index));
    }
    for (size_t index = 0; index < given.len; index++) {
        llem_push(&to.given_tokens, (llem_tokens)LIST_FROM(given.ptr[index]));
    }
    to.log_probabilities.is_some =
        WIT(requests_method_request_log_probabilities)(from, &to.log_probabilities.value);
    to.arrival.is_some = WIT(requests_method_request_arrival)(from, &to.arrival.value);
    return to;
}
