// Opens sources beside the chat: one listener on the document, because answers come and go. `element`, `props` and
// `server` are what Gradio gives to the panel's component.
let opener = null;
let links = []; // the citations of the answer from which the source was opened
let look = "";
let zoom = 1;

async function open(place, from) {
  try {
    // Words can be marked in a text, not in a picture of it.
    props.value = await server.opened(...place, document.body.classList.contains("picking") ? "text" : look);
  } catch {
    props.value = '<div class="paper empty"><p>The page has lost its server. Start it again: rag ui</p></div>';
  }
  document.body.classList.add("side-open");
  document.body.classList.toggle("reading", Boolean(place[0]));
  document.querySelectorAll("a[aria-current=true]").forEach((link) => link.removeAttribute("aria-current"));
  if (from?.matches("a")) from.setAttribute("aria-current", "true");
  // Two frames: one for Gradio to write the HTML, one for the browser to lay it out.
  requestAnimationFrame(() => requestAnimationFrame(async () => {
    walk(place);
    const paper = element.querySelector(".paper");
    const picture = paper?.querySelector("img");
    if (picture) await picture.decode().catch(() => {});
    sized();
    const mark = element.querySelector("mark, .box");
    paper?.scrollTo(0, mark ? mark.getBoundingClientRect().top - paper.getBoundingClientRect().top
      + paper.scrollTop - paper.clientHeight / 3 : 0);
    if (from?.matches("[data-start]") || matchMedia("(max-width: 60rem)").matches) paper?.focus({ preventScroll: true });
  }));
}

function walk([doc, start, end]) {
  const bar = element.querySelector(".walk");
  if (!bar) return;
  const at = links.findIndex((link) => link.doc === doc && link.start === start && link.end === end);
  bar.hidden = at < 0 || links.length < 2;
  bar.querySelector(".count").textContent = `citation ${at + 1} of ${links.length}`;
  bar.querySelectorAll("[data-walk]").forEach((button) => {
    const next = at + Number(button.dataset.walk);
    button.disabled = next < 0 || next >= links.length;
    button.onclick = () => open([links[next].doc, links[next].start, links[next].end, ""], links[next].link);
  });
}

function remember(target) {
  const notes = target.closest(".turn")?.querySelectorAll(".answer > .notes .note");
  if (!notes?.length) return;
  links = [...notes].map((link) => ({ link, doc: link.dataset.doc, start: link.dataset.start, end: link.dataset.end }));
}

function sized() {
  element.querySelector(".sheet")?.style.setProperty("--zoom", zoom);
}

function close() {
  document.body.classList.remove("side-open", "reading");
  opener?.focus();
}

document.addEventListener("click", (event) => {
  const target = event.target.closest?.("[data-doc], [data-library], [data-close], [data-zoom]");
  if (!target) return;
  event.preventDefault();
  if ("close" in target.dataset) return close();
  if ("zoom" in target.dataset) {
    zoom = Math.min(4, Math.max(0.5, zoom * (target.dataset.zoom > 0 ? 1.25 : 0.8)));
    return sized();
  }
  if (!element.contains(target)) {
    opener = target;
    remember(target);
  }
  if ("look" in target.dataset) look = target.dataset.look;
  const { doc = "", start = "", end = "", at = "" } = target.dataset;
  open([doc, start, end, at], target);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.body.classList.contains("side-open")) close();
});
