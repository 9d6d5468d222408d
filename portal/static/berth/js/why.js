/* A "Why?" that somebody unfolded stays so when the page is refreshed: the server's copy of it is folded. */

const unfolded = new WeakSet();

document.addEventListener("click", (event) => {
  const details = event.target.closest?.("details.why > summary")?.parentElement;
  if (!details) return;
  if (details.open) unfolded.delete(details); // the click comes before it folds or unfolds
  else unfolded.add(details);
});

document.addEventListener("htmx:after:swap", () => {
  for (const details of document.querySelectorAll("details.why")) {
    if (unfolded.has(details)) details.open = true;
  }
});
