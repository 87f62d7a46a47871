//! Calls each function of `models` and `flops`, with good arguments and with bad ones.

use llem_sdk::{
    bindings::{
        flops::{Estimate, Part, Shape},
        models::{LoadOptions, Model},
        requests::{Chat, Message},
    },
    prelude::{About, ErrorCode, Result},
};
use test_guests::{check, is_refused};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("every-model-function", "0.1.0", "Asks a model for all that it tells.")
}

fn run() -> Result<()> {
    refused_loads()?;
    let options = LoadOptions::new();
    options.set_model("synthetic:tiny");
    options.set_dtype("f32");
    options.set_kv_dtype("f32");
    options.set_device("cpu");
    options.set_ranks(1, 1, 1);
    options.set_whole_experts(false);
    options.set_sharded_adapters(false);
    options.set_seed(7);
    let model = Model::load(&options)?;
    facts(&model)?;
    tokenizer(&model)?;
    adapters(&model)?;
    operations(&model)
}

/// A change that makes options invalid.
type Set = fn(&LoadOptions);

fn refused_loads() -> Result<()> {
    let cases: [(&str, Set, ErrorCode); 6] = [
        ("a model", |options| options.set_model("no/model"), ErrorCode::NotGranted),
        ("a format", |options| options.set_dtype("f8"), ErrorCode::InvalidArgument),
        ("a device", |options| options.set_device("cuda:99"), ErrorCode::NotGranted),
        ("no threads", |options| options.set_threads(0), ErrorCode::InvalidArgument),
        ("no ranks", |options| options.set_ranks(0, 1, 1), ErrorCode::InvalidArgument),
        ("no parts", |options| options.set_microbatches(0), ErrorCode::InvalidArgument),
    ];
    for (what, set, code) in cases {
        let options = LoadOptions::new();
        set(&options);
        let answer = Model::load(&options);
        if !answer.as_ref().is_err_and(|error| error.code == code) {
            let answer = answer.map(|_| "it was loaded");
            return Err(format!("{what}: {answer:?} rather than {code:?}").into());
        }
    }
    Ok(())
}

/// Checks that a model's properties fit together.
fn facts(model: &Model) -> Result<()> {
    check(model.source() == "synthetic:tiny", "its source")?;
    check(!model.architecture().is_empty(), "its architecture")?;
    check(model.digest().starts_with("sha256-synthetic:"), "its digest")?;
    let (all, without) = (model.parameters(), model.parameters_without_embeddings());
    let embedding = u64::from(model.vocab_size()) * u64::from(model.hidden_size());
    check(without + embedding == all, "its parameters but for the embedding")?;
    check(model.weight_bytes() >= 4 * all, "four bytes each in f32")?;
    check(model.decode_weight_bytes() <= model.weight_bytes(), "of which decode reads some")?;
    check(model.dtype() == "f32" && model.kv_dtype() == "f32", "its formats")?;
    check(model.quantization().is_none() && model.device() == "cpu", "nothing is quantised")?;
    check(model.threads() >= 1 && model.load_time() > 0, "threads, and time to load")?;
    let split = model.parallelism();
    check((split.tensor, split.pipeline, split.data) == (1, 1, 1), "it is not split")?;
    let ranks = model.ranks();
    check(ranks.len() == 1 && ranks[0].layers == model.layers(), "one rank with all layers")?;
    check(model.heads().is_multiple_of(model.kv_heads()), "heads share keys")?;
    let kept = model.layers() * model.kv_heads() * model.head_size();
    check(model.kv_bytes_per_token() == 2 * 4 * u64::from(kept), "keys and values in f32")?;
    check(model.context_length() > 0 && model.intermediate_size().is_some(), "a dense model")?;
    check(model.experts() == 0 && model.experts_per_token() == 0, "has no experts")?;
    check(model.expert_size().is_none(), "of no width")?;
    check(model.attention_windows().len() == model.layers() as usize, "a window a layer")?;
    let _ = (model.has_tied_embeddings(), model.eos_tokens());
    Ok(())
}

/// Checks that text is encoded and decoded.
fn tokenizer(model: &Model) -> Result<()> {
    let Some(tokenizer) = model.tokenizer() else { return Err("it has no tokenizer".into()) };
    let (with, without) = (tokenizer.encode("hello", true)?, tokenizer.encode("hello", false)?);
    let added = tokenizer.added_tokens() as usize;
    check(with.len() == without.len() + added, "encoding adds what it says")?;
    check(tokenizer.decode(&without, false)? == "hello", "and decoding gives the text back")?;
    check(tokenizer.vocab_size() > 0, "it has tokens")?;
    let outside = tokenizer.decode(&[u32::MAX], true);
    check(is_refused(outside, ErrorCode::InvalidArgument), "but none of that id")?;
    check(tokenizer.token_text(u32::MAX).is_none(), "nor a text of it")?;
    if let Some(text) = tokenizer.token_text(without[0]) {
        check(tokenizer.token_of(&text) == Some(without[0]), "a token by its text")?;
    }
    let special = tokenizer.special_tokens();
    let roles = [tokenizer.bos(), tokenizer.eos(), tokenizer.pad(), tokenizer.unknown()];
    for role in roles.into_iter().flatten() {
        check(special.iter().any(|one| one.id == role), "a role is a special token's")?;
    }
    let message = Message { role: "user".to_owned(), content: "hello".to_owned() };
    let chat = Chat { messages: vec![message], arguments: Vec::new() };
    match tokenizer.apply_chat_template(&chat) {
        Ok(text) => check(text.contains("hello"), "a conversation is rendered"),
        Err(error) => check(error.code == ErrorCode::Unsupported, "or there is no template"),
    }
}

/// Checks that adapters are attached, merged and detached.
fn adapters(model: &Model) -> Result<()> {
    check(model.adapters().is_empty(), "none is attached")?;
    let adapter = model.attach_adapter("synthetic:rank=4,targets=q_proj,seed=1")?;
    let name = adapter.name();
    check(adapter.rank() == 4 && !adapter.is_dora() && !adapter.is_merged(), "as asked for")?;
    check(adapter.modules() == model.layers(), "a module a layer")?;
    check(adapter.weight_bytes() >= 4 * adapter.parameters(), "four bytes each")?;
    let of_factors = 2.0 * adapter.parameters() as f64;
    check(adapter.flops_per_token() == of_factors, "two operations for each number")?;
    check(adapter.flops_per_logits() == 0.0, "none for the LM head, which it leaves alone")?;
    check(!adapter.source().is_empty() && !adapter.digest().is_empty(), "where it is from")?;
    let _ = (adapter.base_model(), adapter.attach_time());
    model.use_adapter(Some(&name))?;
    model.use_adapter(None)?;
    model.merge_adapter(&name)?;
    check(model.adapters()[0].is_merged() && !adapter.is_merged(), "merged since it was asked")?;
    model.unmerge_adapter(&name)?;
    model.detach_adapter(&name)?;
    let refused = [
        model.use_adapter(Some(&name)),
        model.merge_adapter(&name).map(drop),
        model.unmerge_adapter(&name).map(drop),
        model.detach_adapter(&name),
    ];
    for answer in refused {
        check(is_refused(answer, ErrorCode::NotFound), "what is detached is not found")?;
    }
    check(is_refused(model.attach_adapter("no/adapter"), ErrorCode::NotGranted), "nor granted")
}

/// Checks the counts of operations.
fn operations(model: &Model) -> Result<()> {
    let total =
        |parts: &[Part]| -> f64 { parts.iter().map(|part| part.prefill + part.decode).sum() };
    let shape = Shape::new(2, 9, 4);
    let last = Estimate::of(model, &shape)?;
    let (needed, executed) = (last.needed(), last.executed());
    check(total(&needed) > 0.0 && total(&executed) >= total(&needed), "needed is the least")?;
    let modules = total(&last.modules());
    check((modules / total(&executed) - 1.0).abs() < 1e-9, "modules add up to what is executed")?;
    let head =
        |parts: &[Part]| parts.iter().find(|part| part.name == "lm-head").map(|one| one.prefill);
    shape.set_all_logits(true);
    let all = Estimate::of(model, &shape)?;
    check(head(&all.needed()) == head(&needed).map(|one| 9.0 * one), "nine positions for one")?;
    let twice = last.approximation();
    check(twice.prefill == 2.0 * twice.active_parameters * 18.0, "twice for each prompt token")?;
    check(twice.decode == 2.0 * twice.active_parameters * 6.0, "and for each decode step")?;
    shape.set_adapter(Some("no-such-adapter"));
    check(is_refused(Estimate::of(model, &shape), ErrorCode::NotFound), "no such adapter")?;
    for (batch, prompt, new) in [(0, 1, 1), (1, 0, 1), (1, u32::MAX, 1)] {
        let answer = Estimate::of(model, &Shape::new(batch, prompt, new));
        check(is_refused(answer, ErrorCode::InvalidArgument), "a shape that is none")?;
    }
    Ok(())
}
