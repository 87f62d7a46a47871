// Above each long table, a field that shows only the rows that contain a text, and a button that shows the table whole.

export function addFilters() {
  for (const scroll of document.querySelectorAll(".scroll.long")) {
    const table = scroll.querySelector("table");
    const label = document.createElement("label");
    label.className = "filter";
    label.textContent = "Rows with ";
    const field = document.createElement("input");
    field.type = "search";
    const count = document.createElement("span");
    const rows = [...table.tBodies[0].rows];
    // The text of a row is read once, when it is first needed.
    let texts = null;
    const tell = (shown) => {
      count.textContent = ` ${shown} of ${rows.length} rows`;
    };
    field.addEventListener("input", () => {
      texts ??= rows.map((row) => row.textContent.toLowerCase());
      const sought = field.value.toLowerCase();
      let shown = 0;
      rows.forEach((row, at) => {
        row.hidden = !texts[at].includes(sought);
        shown += row.hidden ? 0 : 1;
      });
      tell(shown);
    });
    tell(rows.length);
    label.append(field, count);
    const button = document.createElement("button");
    button.type = "button";
    const name = () => {
      button.textContent = scroll.classList.contains("whole") ? "Fewer rows" : "Show all rows";
    };
    button.addEventListener("click", () => {
      scroll.classList.toggle("whole");
      name();
    });
    name();
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.append(label, button);
    scroll.before(bar);
  }
}
