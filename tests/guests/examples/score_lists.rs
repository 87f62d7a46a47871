//! Scores requests or texts, whose token ids are in its parameters.

use llem_sdk::{
    Score, ScoreRequest,
    prelude::*,
    report::{Series, add_series},
};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("score-lists", "0.1.0", "Scores what it is given.")
        .text("requests", "", "context>continuation;... in token ids, separated by commas")
        .text("texts", "", "texts;... in token ids, separated by commas")
        .boolean("apart", false, "each in a call of its own")
}

const PREFIX: u32 = 1;

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let (requests, texts): (String, String) = (parameter("requests")?, parameter("texts")?);
    let apart: bool = parameter("apart")?;
    let mut scores: Vec<Score> = Vec::new();
    if !requests.is_empty() {
        let all: Vec<ScoreRequest> = requests.split(';').map(request).collect::<Result<_>>()?;
        let size = if apart { 1 } else { all.len() };
        for part in all.chunks(size) {
            scores.extend(model.score(part)?.scores);
        }
    }
    if !texts.is_empty() {
        let all: Vec<Vec<u32>> = texts.split(';').map(ids).collect::<Result<_>>()?;
        let size = if apart { 1 } else { all.len() };
        for part in all.chunks(size) {
            scores.extend(model.score_rolling(part, PREFIX)?.scores);
        }
    }
    for (index, score) in scores.iter().enumerate() {
        let points = score.log_likelihoods.iter().enumerate();
        add_series(&Series {
            name: format!("score_{index}"),
            x: ("token".to_owned(), String::new()),
            y: ("log_likelihood".to_owned(), String::new()),
            points: points.map(|(token, &value)| (token as f64, value)).collect(),
        })?;
    }
    Ok(())
}

fn request(text: &str) -> Result<ScoreRequest> {
    let (context, continuation) =
        text.split_once('>').ok_or_else(|| Error::from(format!("'{text}' has no '>'")))?;
    Ok(ScoreRequest { context: ids(context)?, continuation: ids(continuation)? })
}

fn ids(text: &str) -> Result<Vec<u32>> {
    text.split(',')
        .filter(|id| !id.is_empty())
        .map(|id| id.parse().map_err(|_| Error::from(format!("'{id}' is no token id"))))
        .collect()
}
