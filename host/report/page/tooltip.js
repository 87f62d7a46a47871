// What a number's tooltip says, on hover and on focus. Arrow keys go from a table's number to the next.

const tip = document.getElementById("tip");
let shownFor = null;

function show(number) {
  tip.textContent = number.dataset.tip;
  tip.hidden = false;
  const box = number.getBoundingClientRect();
  const width = Math.min(tip.offsetWidth, innerWidth - 16);
  const left = Math.max(8, Math.min(box.left, innerWidth - width - 8));
  const below = box.bottom + 6 + tip.offsetHeight < innerHeight;
  tip.style.left = `${left}px`;
  tip.style.top = `${below ? box.bottom + 6 : Math.max(4, box.top - 6 - tip.offsetHeight)}px`;
  shownFor?.removeAttribute("aria-describedby");
  number.setAttribute("aria-describedby", "tip");
  shownFor = number;
}

function hide() {
  tip.hidden = true;
  shownFor?.removeAttribute("aria-describedby");
  shownFor = null;
}

// The number to which an arrow key goes: in the same row, or in the same column of a near row.
function neighbour(number, key) {
  const cell = number.closest("td, th");
  if (!cell) return null;
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const all = [...cell.parentElement.querySelectorAll(".n")];
    return all[all.indexOf(number) + (key === "ArrowRight" ? 1 : -1)];
  }
  let row = cell.parentElement;
  do {
    row = key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling;
    const found = row?.cells[cell.cellIndex]?.querySelector(".n");
    if (found) return found;
  } while (row);
  return null;
}

export function watchNumbers() {
  document.addEventListener("mouseover", (event) => {
    const number = event.target.closest?.(".n");
    if (number) show(number);
    else if (shownFor && document.activeElement !== shownFor) hide();
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches?.(".n")) show(event.target);
    else hide();
  });
  document.addEventListener("scroll", hide, { passive: true, capture: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    if (!event.target.matches?.(".n") || !event.key.startsWith("Arrow")) return;
    const next = neighbour(event.target, event.key);
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}
