//! Renders a conversation. A parameter sets the number of messages.

use llem_sdk::{Message, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-conversation", "0.1.0", "Renders a huge conversation.")
        .integer("messages", 1_000_000, "how many")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let one = || Message { role: "user".to_owned(), content: "a".to_owned() };
    let messages: Vec<_> = (0..parameter("messages")?).map(|_: usize| one()).collect();
    loop {
        model.apply_chat_template(&messages)?;
    }
}
