// The views, the list of conversations on narrow screens, the look, menus, and copying. Nothing here asks the server.
const views = ["chat", "library", "evals", "settings"];
const body = document.body;

function view() {
  const wanted = location.hash.slice(1);
  if (wanted && !views.includes(wanted)) return;
  body.dataset.view = wanted || "chat";
  document.querySelectorAll("nav [data-view]").forEach((link) => {
    link.dataset.view === body.dataset.view ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  });
  body.classList.remove("side-open", "side-shown");
}

function look(theme) {
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  body.classList.toggle("dark", dark);
  document.querySelectorAll("[data-theme]").forEach((button) => button.setAttribute("aria-pressed", button.dataset.theme === theme));
}

function side(shown) {
  body.classList.toggle("side-shown", shown);
  document.getElementById("menu")?.setAttribute("aria-expanded", shown);
}

async function copy(button) {
  const words = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(words);
  } catch { // not a secure address: the old way
    const field = Object.assign(document.createElement("textarea"), { value: words });
    body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
}

document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest?.(selector);
  document.querySelectorAll("details.menu[open]").forEach((menu) => menu.contains(event.target) || menu.removeAttribute("open"));
  const copied = at("[data-copy]");
  if (copied) copy(copied);
  const theme = at("[data-theme]");
  if (theme) {
    localStorage.setItem("footnote-look", theme.dataset.theme);
    look(theme.dataset.theme);
  }
  if (at("[data-side]")) side(!body.classList.contains("side-shown"));
  else if (!at("#side")) side(false);
  if (at("#again")) location.hash = "chat";
  if (at(".skip")) {
    event.preventDefault();
    location.hash = "chat";
    document.querySelector("#question textarea")?.focus();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = event.target.closest?.("details.menu[open]");
  menu?.removeAttribute("open");
  menu?.querySelector("summary").focus();
  side(false);
});
addEventListener("hashchange", view);
view();
look(localStorage.getItem("footnote-look") ?? "");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => look(localStorage.getItem("footnote-look") ?? ""));
// The buttons of the look are drawn later than this.
new MutationObserver((_, watcher) => {
  if (!document.querySelector("[data-theme]")) return;
  look(localStorage.getItem("footnote-look") ?? "");
  watcher.disconnect();
}).observe(body, { childList: true, subtree: true });
