"use strict";
// Without this script all is there; with it, a click on a heading sorts its table.
const collator = new Intl.Collator(undefined, { numeric: true });

function comparison(texts) {
  const isNumber = (text) => text !== "" && !Number.isNaN(Number(text));
  return texts.every(isNumber) ? (one, other) => one - other : collator.compare;
}

function sort(table, heading) {
  const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const value = (cell) => cell.dataset.value ?? cell.textContent.trim();
  const rows = [...table.tBodies[0].rows].map((row) => [value(row.cells[heading.cellIndex]), row]);
  const compare = comparison(rows.map(([text]) => text));
  rows.sort(([one], [other]) => sign * compare(one, other));
  for (const each of heading.parentNode.cells) each.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(table, heading));
    heading.append(button);
  }
}
