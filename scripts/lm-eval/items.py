"""A few documents of our own, so that the experiment runs without a dataset. They test the program, not a model."""

from __future__ import annotations

QUESTIONS: list[dict[str, object]] = [
    {
        "question": "Question: Which of these is a liquid at room temperature?\nAnswer:",
        "choices": ["iron", "water", "oxygen", "salt"],
        "answer": 1,
    },
    {
        "question": "Question: What does a plant need for photosynthesis?\nAnswer:",
        "choices": ["light", "sound", "sand", "wind"],
        "answer": 0,
    },
    {
        "question": "Question: Which planet is nearest to the Sun?\nAnswer:",
        "choices": ["Earth", "Jupiter", "Mercury", "Mars"],
        "answer": 2,
    },
    {
        "question": "Question: How many legs does a spider have?\nAnswer:",
        "choices": ["four", "six", "eight", "ten"],
        "answer": 2,
    },
    {
        "question": "Question: Where does the Danube end?\nAnswer:",
        "choices": ["in the Black Sea", "in the Adriatic", "in the Baltic Sea", "in the Atlantic"],
        "answer": 0,
    },
    {
        "question": "Question: Qui a écrit « Les Misérables » ?\nRéponse :",
        "choices": ["Émile Zola", "Victor Hugo", "Molière", "George Sand"],
        "answer": 1,
    },
    {
        "question": "Question: Which gas do people breathe out?\nAnswer:",
        "choices": ["neon", "helium", "carbon dioxide", "hydrogen"],
        "answer": 2,
    },
    {
        "question": "Question: What is frozen water called?\nAnswer:",
        "choices": ["steam", "ice", "glass", "mist"],
        "answer": 1,
    },
]
"""Documents of the output type `multiple_choice`."""

PASSAGES: list[dict[str, object]] = [
    {"context": "She opened the door, looked at the rain, and took her", "continuation": " umbrella"},
    {"context": "The ship left the harbour at noon and came back in the", "continuation": " evening"},
    {"context": "He counted the coins twice and still one was", "continuation": " missing"},
    {"context": "When the lights went out somebody lit a", "continuation": " candle"},
    {"context": "Bread is made of flour, water, salt and", "continuation": " yeast"},
]
"""Documents of the output type `loglikelihood`."""

TEXTS: list[dict[str, object]] = [
    {
        "text": "A balance has two arms of the same length. A load hangs from one of them, and known weights are laid "
        "on the other until both are level."
    },
    {
        "text": "The river rises in the hills, turns east at the old mill,  and is slow and brown by the time it "
        "reaches the town.\n\nIn spring it floods the lower meadows."
    },
    {"text": "Zwei Kerne teilen sich diese Maschine mit vielen anderen, drum lies Verhältnisse und keine Zeiten."},
]
"""Documents of the output type `loglikelihood_rolling`."""
