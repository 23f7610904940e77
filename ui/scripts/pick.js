// Picking the passage that would have been right: marked words of the panel go into the field, the field to the server.
const field = element.querySelector("textarea");
let turn = "";

function stop() {
  document.body.classList.remove("picking");
  turn = field.value = "";
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-pick]");
  if (!button) return;
  turn = button.dataset.turn;
  element.querySelector("q").textContent = button.dataset.pick;
  document.body.classList.add("picking", "side-open");
  document.querySelector("#panel [data-look=text]")?.click();
  field.focus();
});
document.addEventListener("selectionchange", () => {
  const marked = getSelection();
  const panel = document.querySelector("#panel .paper");
  if (turn && marked && panel?.contains(marked.anchorNode) && String(marked).trim()) field.value = String(marked).trim();
});
element.addEventListener("click", (event) => {
  if (event.target.closest("[data-unpick]")) stop();
  const doc = document.querySelector("#panel [data-shown]")?.dataset.shown;
  if (!event.target.closest("[data-picked]") || !field.value.trim()) return;
  trigger("input", { act: "picked", turn, doc: doc ?? "", quote: field.value });
  stop();
});
