// A card beside whatever explains itself: the quote behind a number, the meaning of a sign. It follows mouse and focus.
const card = document.createElement("div");
Object.assign(card, { className: "card", hidden: true });
card.setAttribute("role", "tooltip");
document.body.append(card);
let owner = null;

function show(target) {
  if (target.title) {
    target.dataset.card = target.title; // the browser's own tip would come as well, and later
    target.removeAttribute("title");
  }
  const { card: words, place } = target.dataset;
  card.replaceChildren(...[words, place].filter(Boolean).map((text, line) =>
    Object.assign(document.createElement("p"), { textContent: text, className: line ? "place" : "words", dir: "auto" })));
  card.hidden = false;
  const box = target.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = card;
  const below = box.bottom + 8 + height < innerHeight;
  card.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
  card.style.top = `${below ? box.bottom + 8 : Math.max(8, box.top - height - 8)}px`;
  owner = target;
}

function hide() {
  card.hidden = true;
  owner = null;
}

const explained = ".answer [data-card], .answer [title], .holdings [title], .holdings [data-card]";
for (const kind of ["mouseover", "focusin", "click"]) {
  document.addEventListener(kind, (event) => {
    const target = event.target.closest?.(explained);
    if (target && target !== owner) show(target);
    else if (!target && !card.contains(event.target)) hide();
  });
}
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
document.addEventListener("scroll", hide, { capture: true, passive: true });
