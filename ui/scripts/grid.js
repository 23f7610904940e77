// The documents are one stop of Tab: arrows lead from cell to cell, Home and End along a row, with Ctrl through the list.
// In a cell its button takes the focus, or the sign that explains itself; an open menu has arrows of its own.
const steps = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };
const rows = () => [...element.querySelectorAll(".holdings tbody tr")];
const stop = (cell) => cell.querySelector(".doc, summary, [title], [data-card]") ?? cell;
let doc = "";
let column = 0;

function enter(target) {
  element.querySelector('.holdings tbody [tabindex="0"]')?.setAttribute("tabindex", -1);
  target.tabIndex = 0;
}

function settle() {
  element.querySelectorAll(".holdings tbody :is(.doc, summary)").forEach((each) => { each.tabIndex = -1; });
  const row = rows().find((each) => each.querySelector(".doc").dataset.doc === doc) ?? rows()[0];
  if (row) enter(stop(row.cells[column]));
}

function within(menu, target, step) {
  const all = [...menu.querySelectorAll("summary, .choices button")];
  all[Math.min(Math.max(all.indexOf(target) + step, 0), all.length - 1)].focus();
}

element.addEventListener("keydown", (event) => {
  const { key, target, ctrlKey: whole } = event;
  const cell = target.closest(".holdings tbody :is(th, td)");
  if (!cell || event.altKey || event.metaKey || event.shiftKey) return;
  const [down, along] = steps[key] ?? [0, 0];
  const menu = target.closest("details[open]");
  if (menu && down) within(menu, target, down);
  else {
    const all = rows();
    let at = all.indexOf(cell.parentElement);
    let to = cell.cellIndex;
    const last = cell.parentElement.cells.length - 1;
    if (key === "Home") [at, to] = [whole ? 0 : at, 0];
    else if (key === "End") [at, to] = [whole ? all.length - 1 : at, last];
    else if (key in steps && !whole) [at, to] = [at + down, to + along];
    else return;
    const next = all[at]?.cells[to];
    if (next) {
      const found = stop(next);
      enter(found);
      found.focus();
    }
  }
  event.preventDefault();
});
// With the mouse, too, one goes on from where one was.
element.addEventListener("focusin", ({ target }) => {
  const cell = target.closest(".holdings tbody :is(th, td)");
  if (!cell) return;
  enter(stop(cell));
  [doc, column] = [cell.parentElement.querySelector(".doc").dataset.doc, cell.cellIndex];
});
watch("value", settle);
settle();
