// Buttons with data-act tell the server what they are for, with all their data. Those that ask a question do so as
// "select", which may wait in line behind other answers; the others as "input", which does not.
const asking = new Set(["example", "retry", "open"]);
let held = "";

element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const data = { ...button.dataset };
  held = ["act", "turn", "kind", "citation"].map((key) => key in data ? `[data-${key}="${CSS.escape(data[key])}"]` : "").join("");
  trigger(asking.has(data.act) ? "select" : "input", data);
  button.closest("details.menu")?.removeAttribute("open");
  if (data.act === "edit") document.querySelector("#question textarea")?.focus();
  if (data.act === "only") location.hash = "chat";
});
// What is drawn anew loses the focus; a person at the keyboard goes on from the same button, or from what undoes it.
watch("value", () => requestAnimationFrame(() => {
  const again = (held && element.querySelector(held)) || element.querySelector("[data-act=undo]");
  if (document.activeElement === document.body) again?.focus({ preventScroll: true });
  held = "";
}));
