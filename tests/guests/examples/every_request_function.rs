//! Calls each function of `requests` and of `generations`, and checks that getters return what was set.

use llem_sdk::{
    bindings::{
        generations::ScoreRequest,
        models::{LoadOptions, Model},
        requests::{AdapterChoice, AdapterSelection, Chat, Message, Request},
        types::{Reading, Value},
    },
    prelude::{About, ErrorCode, Result},
};
use test_guests::{check, is_refused};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("every-request-function", "0.1.0", "Sets everything that a request has.")
}

fn run() -> Result<()> {
    defaults()?;
    setters()?;
    let model = Model::load(&LoadOptions::new())?;
    completions(&model)?;
    refusals(&model)?;
    scores(&model)
}

/// Checks the defaults of a new request.
fn defaults() -> Result<()> {
    let request = Request::new("a label");
    check(request.label() == "a label", "the label is the constructor's")?;
    check(request.prompts() == 0 && request.max_new_tokens() == 32, "32 tokens, no prompts")?;
    check(request.min_new_tokens() == 0 && !request.ignores_eos(), "it may end at once")?;
    check(request.stop_texts().is_empty() && request.stop_tokens().is_empty(), "nothing stops it")?;
    check(request.temperature() == 0.0, "it is greedy")?;
    check(request.top_k().is_none() && request.top_p().is_none(), "all tokens are kept")?;
    check(request.min_p().is_none() && request.repetition_penalty() == 1.0, "none is penalised")?;
    check(request.frequency_penalty() == 0.0 && request.presence_penalty() == 0.0, "by count")?;
    check(request.logit_bias().is_empty() && request.seed().is_none(), "no bias and no seed")?;
    check(request.log_probabilities().is_none(), "no log-probabilities are asked for")?;
    check(!request.all_prompt_logits() && request.given_tokens().is_empty(), "nothing is given")?;
    check(!request.script_chooses() && !request.holds_cache(), "the host chooses and forgets")?;
    check(matches!(request.adapters(), AdapterSelection::OfModel), "adapters are the model's")?;
    check(request.arrival().is_none(), "it comes as soon as it may")
}

/// Checks that getters return what was set, and that a copy is independent.
fn setters() -> Result<()> {
    let request = Request::new("first");
    request.add_text("text");
    request.add_tokens(&[1, 2, 3]);
    let message = Message { role: "user".to_owned(), content: "hello".to_owned() };
    let arguments = vec![("enable_thinking".to_owned(), Value::Boolean(false))];
    request.add_chat(&Chat { messages: vec![message], arguments });
    check(request.prompts() == 3, "three prompts")?;
    check(request.prompt_text(0).as_deref() == Some("text"), "the first is text")?;
    check(request.prompt_tokens(1) == Some(vec![1, 2, 3]), "the second is tokens")?;
    let chat = request.prompt_chat(2);
    let is_told = chat.is_some_and(|chat| {
        chat.messages[0].content == "hello" && chat.arguments[0].0 == "enable_thinking"
    });
    check(is_told, "the third is a conversation")?;
    for (index, is_text) in [(0, true), (1, false), (2, false), (3, false), (u32::MAX, false)] {
        check(request.prompt_text(index).is_some() == is_text, "a prompt is of one kind")?;
    }
    check(request.prompt_tokens(0).is_none() && request.prompt_chat(3).is_none(), "or none")?;

    request.set_label("second");
    request.set_max_new_tokens(0);
    request.set_min_new_tokens(7);
    request.set_ignores_eos(true);
    request.set_stop_texts(&["stop".to_owned()]);
    request.set_stop_tokens(&[4, 5]);
    request.set_temperature(0.5);
    request.set_top_k(Some(10));
    request.set_top_p(Some(0.5));
    request.set_min_p(Some(0.25));
    request.set_repetition_penalty(2.0);
    request.set_frequency_penalty(-0.5);
    request.set_presence_penalty(0.75);
    request.set_logit_bias(&[(3, -1.5)]);
    request.set_seed(Some(u64::MAX));
    request.set_log_probabilities(Some(0));
    request.set_all_prompt_logits(true);
    request.set_given_tokens(&[vec![1], vec![2, 3]]);
    request.set_script_chooses(true);
    request.set_adapters(&AdapterSelection::Same(AdapterChoice::Named("one".to_owned())));
    request.set_holds_cache(true);
    request.set_arrival(Some(u64::MAX));
    let copy = request.copy();
    request.set_label("third");
    request.set_seed(None);
    check(copy.label() == "second" && copy.seed() == Some(u64::MAX), "a copy stays as it was")?;
    check(copy.prompts() == 3 && copy.max_new_tokens() == 0, "prompts are copied")?;
    check(copy.min_new_tokens() == 7 && copy.ignores_eos(), "so are lengths")?;
    check(copy.stop_texts() == ["stop"] && copy.stop_tokens() == [4, 5], "what stops")?;
    check(copy.temperature() == 0.5 && copy.top_k() == Some(10), "temperature and top-k")?;
    check(copy.top_p() == Some(0.5) && copy.min_p() == Some(0.25), "top-p and min-p")?;
    check(copy.repetition_penalty() == 2.0 && copy.frequency_penalty() == -0.5, "penalties")?;
    check(copy.presence_penalty() == 0.75 && copy.logit_bias() == [(3, -1.5)], "and bias")?;
    check(copy.log_probabilities() == Some(0) && copy.all_prompt_logits(), "what is told")?;
    check(copy.given_tokens() == [vec![1], vec![2, 3]], "what is given")?;
    check(copy.script_chooses() && copy.holds_cache(), "what a batch does")?;
    let is_named = matches!(
        copy.adapters(),
        AdapterSelection::Same(AdapterChoice::Named(name)) if name == "one"
    );
    check(is_named && copy.arrival() == Some(u64::MAX), "adapters and arrival")?;
    request.set_adapters(&AdapterSelection::Each(vec![AdapterChoice::BaseWeights]));
    let is_each = matches!(request.adapters(), AdapterSelection::Each(each) if each.len() == 1);
    check(is_each && request.seed().is_none(), "what was set can be set again")
}

/// Checks that a completion's properties fit together.
fn completions(model: &Model) -> Result<()> {
    let request = Request::new("completions");
    request.add_tokens(&[1, 2, 3]);
    request.add_tokens(&[4]);
    request.set_max_new_tokens(5);
    request.set_ignores_eos(true);
    request.set_log_probabilities(Some(2));
    let generation = model.generate(&request)?;
    let completions = generation.completions();
    check(completions.len() == 2, "one for each prompt")?;
    for (index, completion) in completions.iter().enumerate() {
        check(completion.sequence() == index as u64, "in order")?;
        check(completion.prompt_tokens() == [3, 1][index], "its prompt is counted")?;
        check(completion.cached_tokens() == 0 && completion.tokens().len() == 5, "all was run")?;
        check(completion.finish() == "length" && completion.adapter().is_none(), "to its length")?;
        let times = completion.token_times();
        check(times.len() == 5 && times.is_sorted(), "a time for each token")?;
        let submitted = completion.submitted();
        let is_after = |at: Option<u64>| at.is_none_or(|at| at >= submitted);
        check(is_after(completion.admitted()), "it is taken up after it came")?;
        check(completion.started() >= Some(submitted), "and begins after it")?;
        check(completion.started() <= times.first().copied(), "before its first token")?;
        check(!completion.due_in_step(), "no step runs before a static batch")?;
        let likely = completion.log_probabilities();
        check(likely.len() == 5, "log-probabilities for each token")?;
        for (step, token) in likely.iter().zip(completion.tokens()) {
            check(step.chosen.token == token && step.top.len() == 2, "of it and of two others")?;
            // A greedy request chooses the most likely token.
            check(step.chosen.log_probability == step.top[0].log_probability, "the likeliest")?;
            check(step.top[0].log_probability >= step.top[1].log_probability, "likeliest first")?;
            check(step.chosen.log_probability <= 0.0, "a probability is at most 1")?;
        }
        if let Reading::Unavailable(reason) = completion.energy() {
            check(!reason.is_empty(), "what is not known has a reason")?;
        }
        let _ = completion.text();
    }
    let measured = generation.measurement();
    check(measured.output_tokens() == 10 && measured.prompt_tokens() == 4, "all is counted")?;
    let parts = generation.prefill_time() + generation.decode_time();
    check(parts <= measured.wall_time(), "prefill and decode are parts of the whole")
}

/// A change that makes a request invalid.
type Set = fn(&Request);

/// Checks that the functions that take a request refuse values out of range.
fn refusals(model: &Model) -> Result<()> {
    let cases: [(&str, Set); 17] = [
        ("fewer tokens than the fewest", |request| request.set_min_new_tokens(99)),
        ("a temperature below 0", |request| request.set_temperature(-1.0)),
        ("a top-k of 0", |request| request.set_top_k(Some(0))),
        ("a top-p of 0", |request| request.set_top_p(Some(0.0))),
        ("a top-p above 1", |request| request.set_top_p(Some(1.5))),
        ("a min-p above 1", |request| request.set_min_p(Some(1.5))),
        ("a penalty of 0", |request| request.set_repetition_penalty(0.0)),
        ("a penalty that is no number", |request| request.set_frequency_penalty(f32::NAN)),
        ("a presence that is no number", |request| request.set_presence_penalty(f32::NAN)),
        ("a bias of a token that is none", |request| request.set_logit_bias(&[(u32::MAX, 1.0)])),
        ("21 log-probabilities", |request| request.set_log_probabilities(Some(21))),
        ("all logits of what generates", |request| request.set_all_prompt_logits(true)),
        ("two lists for a prompt", |request| request.set_given_tokens(&[vec![1], vec![2]])),
        ("a choosing script", |request| request.set_script_chooses(true)),
        ("a held cache", |request| request.set_holds_cache(true)),
        ("a stop token that is none", |request| request.set_stop_tokens(&[u32::MAX])),
        ("a prompt without tokens", |request| request.add_tokens(&[])),
    ];
    for (what, set) in cases {
        let request = Request::new("refused");
        request.add_tokens(&[1]);
        request.set_max_new_tokens(4);
        set(&request);
        check(is_refused(model.generate(&request), ErrorCode::InvalidArgument), what)?;
    }
    let empty = model.generate(&Request::new("empty"));
    check(is_refused(empty, ErrorCode::InvalidArgument), "a request without prompts")?;
    let adapter = Request::new("adapter");
    adapter.add_tokens(&[1]);
    let none = AdapterChoice::Named("no-such-adapter".to_owned());
    adapter.set_adapters(&AdapterSelection::Same(none));
    check(is_refused(model.generate(&adapter), ErrorCode::NotFound), "an adapter that is none")
}

/// Checks scores and their measurement.
fn scores(model: &Model) -> Result<()> {
    let one = |context: &[u32], continuation: &[u32]| ScoreRequest {
        context: context.to_vec(),
        continuation: continuation.to_vec(),
    };
    let scoring = model.score(&[one(&[1], &[2, 3]), one(&[1, 2], &[3])])?;
    let scores = scoring.scores();
    check(scores.len() == 2 && scores[0].log_likelihoods.len() == 2, "a score a continuation")?;
    let apart = (scores[0].log_likelihoods[1] - scores[1].log_likelihoods[0]).abs();
    check(apart < 1e-4, "a token is as likely after what was scored as after what was given")?;
    check(scoring.measurement().wall_time() > 0, "it took some time")?;
    let rolled = model.score_rolling(&[vec![2, 3]], 1)?.scores();
    let apart = (rolled[0].log_likelihoods[0] - scores[0].log_likelihoods[0]).abs();
    check(apart < 1e-4, "a rolled text is scored after its prefix")?;
    let nothing = model.score(&[one(&[], &[1])]);
    check(is_refused(nothing, ErrorCode::InvalidArgument), "a context of no tokens")
}
