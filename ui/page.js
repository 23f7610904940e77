// Opens sources beside the chat: one listener on the document, because answers come and go. `element`, `props` and
// `server` are what Gradio gives to the panel's component.
let opener = null;

async function open(place, from) {
  try {
    props.value = await server.opened(...place);
  } catch {
    props.value = '<div class="paper empty"><p>The page has lost its server. Start it again: rag ui</p></div>';
  }
  document.body.classList.add("side-open");
  document.querySelectorAll("a[aria-current]").forEach((link) => link.removeAttribute("aria-current"));
  if (from?.matches("a")) from.setAttribute("aria-current", "true");
  // Two frames: one for Gradio to write the HTML, one for the browser to lay it out.
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const paper = element.querySelector(".paper");
    const mark = element.querySelector("mark");
    paper?.scrollTo(0, mark ? mark.getBoundingClientRect().top - paper.getBoundingClientRect().top
      + paper.scrollTop - paper.clientHeight / 3 : 0);
    if (from?.matches("[data-start]") || matchMedia("(max-width: 60rem)").matches) paper?.focus({ preventScroll: true });
  }));
}

function close() {
  document.body.classList.remove("side-open");
  opener?.focus();
}

document.addEventListener("click", (event) => {
  const target = event.target.closest?.("[data-doc], [data-library], [data-close]");
  if (!target) return;
  event.preventDefault();
  if ("close" in target.dataset) return close();
  if (!element.contains(target)) opener = target;
  const { doc = "", start = "", end = "", at = "" } = target.dataset;
  open([doc, start, end, at], target);
});
document.addEventListener("keydown", (event) => event.key === "Escape" && close());
