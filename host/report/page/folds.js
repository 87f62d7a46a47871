// The folded parts of the page: a button opens all of them, and paper has them open.

const folds = () => [...document.querySelectorAll("details.fold")];

export function watchFolds() {
  const button = document.getElementById("unfold");
  const all = folds();
  if (all.length === 0) return;
  const areOpen = () => all.every((fold) => fold.open);
  const name = () => {
    button.textContent = areOpen() ? "Fold all" : "Unfold all";
  };
  button.hidden = false;
  name();
  button.addEventListener("click", () => {
    const open = !areOpen();
    for (const fold of all) fold.open = open;
  });
  for (const fold of all) fold.addEventListener("toggle", name);
}

// Opens all folded parts, and returns a function that folds them again.
export function openFolds() {
  const closed = folds().filter((fold) => !fold.open);
  for (const fold of closed) fold.open = true;
  return () => {
    for (const fold of closed) fold.open = false;
  };
}
