// Renaming in place: the title becomes a field; Enter keeps it, Escape and leaving it do not.
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-rename]");
  if (!button) return;
  const { id, rename } = button.dataset;
  const row = button.closest("li");
  const field = Object.assign(document.createElement("input"), { value: rename, maxLength: 80, className: "rename" });
  field.setAttribute("aria-label", "New title");
  row.replaceChildren(field);
  field.select();
  const done = (title) => trigger("input", title && title !== rename ? { act: "rename", id, title } : { act: "none" });
  field.addEventListener("keydown", (key) => {
    if (key.key === "Enter") done(field.value.trim());
    if (key.key === "Escape") field.blur();
  });
  field.addEventListener("blur", () => done(""), { once: true });
});
element.addEventListener("click", (event) => {
  if (!event.target.closest(".talk")) return;
  document.body.classList.remove("side-shown");
  location.hash = "chat";
});
