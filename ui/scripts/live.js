// A new question moves to the top of the view and stays there while its answer grows below it.
let last = null;

watch("value", () => {
  const turn = element.querySelector(".turn");
  if (turn && turn.id !== last) {
    // After the frame in which the turns above are written, too.
    const talk = document.getElementById("talk");
    requestAnimationFrame(() => requestAnimationFrame(() => {
      talk.scrollTop += turn.getBoundingClientRect().top - talk.getBoundingClientRect().top;
    }));
  }
  last = turn?.id ?? null;
});
