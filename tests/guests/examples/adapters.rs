//! Attaches, chooses, merges and detaches adapters, and compares the tokens of each prompt in a batch with its tokens
//! alone.

use llem_sdk::{ScoreRequest, flops, prelude::*};
use test_guests::{check, is_refused};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("adapters", "0.1.0", "Compares prompts with adapters in company and alone.")
}

const NEW_TOKENS: u32 = 12;
const LENGTHS: [u32; 9] = [20, 1, 33, 7, 16, 50, 3, 28, 12];

fn prompt(length: u32, vocabulary: u32) -> Prompt {
    Prompt::Tokens((0..length).map(|index| (index * index + 3 * length) % vocabulary).collect())
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let vocabulary = model.info().vocab_size;
    let request = |lengths: &[u32]| {
        let prompts = lengths.iter().map(|&length| prompt(length, vocabulary));
        Request::from_prompts(prompts).label("adapters").max_new_tokens(NEW_TOKENS).ignore_eos()
    };
    let context: Vec<u32> = (0..20).collect();
    let scored = ScoreRequest { context, continuation: vec![5, 6, 7, 8] };
    let scores = || -> Result<Vec<f64>> {
        Ok(model.score(std::slice::from_ref(&scored))?.scores.remove(0).log_likelihoods)
    };
    let base_tokens = model.generate(&request(&LENGTHS[..1]))?.completions.remove(0).tokens;
    let base_scores = scores()?;

    // Eight adapters of several ranks and targets, and the base weights between them.
    let mut names: Vec<Option<String>> = Vec::new();
    for (index, rank) in [1, 2, 4, 8, 16, 33, 64, 8].into_iter().enumerate() {
        let targets = ["all-linear", "q_proj+v_proj", "down_proj"][index % 3];
        // A large alpha, so that the adapter changes what is generated.
        let alpha = 40 * rank;
        let source = format!("synthetic:rank={rank},targets={targets},alpha={alpha},seed={index}");
        let info = model.attach_adapter(&source)?;
        check(info.rank == rank && !info.is_merged, "the adapter is as it was asked for")?;
        names.push(Some(info.name));
    }
    names.insert(4, None);
    check(model.adapters().len() == 8, "eight are attached")?;

    let mut alone = Vec::new();
    for (name, length) in names.iter().zip(LENGTHS) {
        let request = request(&[length]).adapters([name.clone()]);
        alone.push(model.generate(&request)?.completions.remove(0));
    }
    let distinct = |index: usize| alone[index].adapter == names[index];
    check((0..9).all(distinct), "a completion tells its adapter")?;

    let together = model.generate(&request(&LENGTHS).adapters(names.clone()))?.completions;
    for (together, alone) in together.iter().zip(&alone) {
        check(together.tokens == alone.tokens, "a static batch changes nothing")?;
    }

    let options = BatchOptions::new(4).max_tokens(100).prefill_chunk(16);
    let batch = model.open_batch(options)?;
    let mut sequences = Vec::new();
    for (name, length) in names.iter().zip(LENGTHS) {
        let request = request(&[length]).adapters([name.clone()]);
        sequences.extend(batch.submit(&request, None)?);
        batch.step()?;
    }
    let name = names[0].clone().unwrap_or_default();
    let refused = model.merge_adapter(&name);
    check(is_refused(refused, ErrorCode::InvalidArgument), "not while a batch is open")?;
    let mut ended = batch.drain()?;
    drop(batch);
    ended.sort_by_key(|end| end.sequence);
    for end in ended {
        let place = sequences.iter().position(|&sequence| sequence == end.sequence).unwrap_or(0);
        check(end.tokens == alone[place].tokens, "nor does a continuous batch")?;
        check(end.adapter == names[place], "which tells the adapters too")?;
    }

    // While an adapter is merged, all prompts run with it, and a request cannot choose another.
    check(!model.merge_adapter(&name)?.is_zero(), "merging takes time")?;
    let merged = model.generate(&request(&LENGTHS[..1]))?.completions.remove(0);
    check(merged.tokens == alone[0].tokens, "merged as attached")?;
    check(merged.adapter.as_ref() == Some(&name), "a merged adapter is told too")?;
    let base = model.generate(&request(&LENGTHS[..1]).base_weights());
    check(is_refused(base, ErrorCode::InvalidArgument), "the base weights are gone")?;
    let second = model.merge_adapter(&names[1].clone().unwrap_or_default());
    check(is_refused(second, ErrorCode::InvalidArgument), "one at a time")?;
    let shape = |adapter| flops::Shape { adapter, ..flops::Shape::new(1, 9, 4) };
    let merged_flops = flops::estimate(&model, &shape(Some(name.clone())))?;
    check(merged_flops.needed.prefill("adapter") == 0.0, "a merged adapter costs nothing")?;
    model.unmerge_adapter(&name)?;

    let info = model.adapters().into_iter().find(|adapter| adapter.name == name);
    let per_token = info.map_or(0.0, |info| info.flops_per_token);
    let attached = flops::estimate(&model, &shape(Some(name.clone())))?;
    check(attached.needed.prefill("adapter") == 9.0 * per_token, "nine tokens run with it")?;
    check(
        attached.needed.decode("adapter") == 3.0 * per_token && per_token > 0.0,
        "and three more",
    )?;

    // A request that chooses no adapter runs on the base model, bit by bit, until another default is set.
    let tokens = model.generate(&request(&LENGTHS[..1]))?.completions.remove(0).tokens;
    check(tokens == base_tokens && scores()? == base_scores, "unmerging restores the base model")?;
    model.use_adapter(Some(&name))?;
    let by_default = model.generate(&request(&LENGTHS[..1]))?.completions.remove(0);
    check(by_default.tokens == alone[0].tokens, "the default is used")?;
    check(scores()? != base_scores, "by scores too")?;
    let base = model.generate(&request(&LENGTHS[..1]).base_weights())?.completions.remove(0);
    check(base.tokens == base_tokens && base.adapter.is_none(), "unless the base is asked for")?;

    model.merge_adapter(&name)?;
    model.detach_adapter(&name)?;
    check(scores()? == base_scores, "detaching a merged adapter restores the base model")?;
    check(model.adapters().len() == 7, "seven are left")?;
    let gone = model.generate(&request(&LENGTHS[..1]).adapter(&name));
    check(is_refused(gone, ErrorCode::NotFound), "what is detached is not found")?;
    let odd = request(&LENGTHS[..3]).adapters([None, None]);
    let odd = model.generate(&odd);
    check(is_refused(odd, ErrorCode::InvalidArgument), "as many names as prompts")?;
    let refused = model.attach_adapter("someone/adapter");
    check(is_refused(refused, ErrorCode::NotGranted), "only what is granted")
}
