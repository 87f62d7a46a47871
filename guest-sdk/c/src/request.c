#include "llem/request.h"

llem_sampling llem_sampling_greedy(void) {
    return llem_sampling_with_temperature(0.0f);
}

llem_sampling llem_sampling_with_temperature(float temperature) {
    return (llem_sampling){.temperature = temperature, .repetition_penalty = 1.0f};
}

static llem_request from_prompt(llem_prompt prompt) {
    llem_prompts prompts = {0};
    llem_push(&prompts, prompt);
    return llem_request_from_prompts(prompts);
}

llem_request llem_request_from_text(const char *prompt) {
    return from_prompt((llem_prompt){.kind = LLEM_PROMPT_TEXT, .text = prompt});
}

llem_request llem_request_from_tokens(llem_tokens tokens) {
    return from_prompt((llem_prompt){.kind = LLEM_PROMPT_TOKENS, .tokens = tokens});
}

llem_request llem_request_from_chat(llem_messages messages) {
    return from_prompt((llem_prompt){.kind = LLEM_PROMPT_CHAT, .chat = {.messages = messages}});
}

llem_request llem_request_from_prompts(llem_prompts prompts) {
    return (llem_request){
        .label = "request",
        .prompts = prompts,
        .max_new_tokens = 32,
        .sampling = llem_sampling_greedy(),
    };
}
