"use strict";
const questions = [...document.querySelectorAll("details.q")];
const controls = [...document.querySelectorAll(".bar [data-by]")];
const search = document.querySelector(".bar input");
const count = document.querySelector(".bar output");
function fits(question, control) {
  return !control.value || question.dataset[control.dataset.by].split("\n").includes(control.value);
}
function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const question of questions) {
    const text = question.dataset.text;
    const fit = controls.every((control) => fits(question, control)) && words.every((word) => text.includes(word));
    question.hidden = !fit;
    shown += fit;
  }
  count.textContent = `${shown} of ${questions.length}`;
}
for (const control of [search, ...controls]) control.addEventListener("input", filter);
filter();
