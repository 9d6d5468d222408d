/* Filter forms answer while one types: the form's own GET, its list replaced in place, the address kept in step. */

import { refresh } from "./live.js";

const pause = 250;
let timer;

function run(form) {
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  const address = `${form.getAttribute("action") || location.pathname}?${query}`;
  history.replaceState(history.state, "", address);
  refresh();
}

document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-filter]");
  if (!form) return;
  clearTimeout(timer);
  timer = setTimeout(run, event.target.matches("select") ? 0 : pause, form);
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-filter]")) return;
  event.preventDefault();
  run(event.target);
});
