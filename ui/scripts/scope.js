// The choice of documents folds away above the question; its button keeps its state when its words change.
const shown = () => document.body.classList.contains("scoping");
const said = () => element.querySelector("button")?.setAttribute("aria-expanded", shown());

element.addEventListener("click", (event) => {
  if (!event.target.closest("button")) return;
  document.body.classList.toggle("scoping");
  said();
});
watch("value", said);
