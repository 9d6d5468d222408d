/* Choosing in lists: the box above a table's boxes chooses all of them; what unfolds stays open while the page lives. */

document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-choose-all]");
  if (!all) return;
  for (const box of all.closest("table").querySelectorAll("tbody input[type=checkbox]")) box.checked = all.checked;
});

document.addEventListener("htmx:before:swap", () => {
  const open = [...document.querySelectorAll("details.fold[open]")].map((fold) => fold.id);
  const again = () => open.forEach((id) => (document.getElementById(id).open = true));
  document.addEventListener("htmx:after:swap", again, { once: true });
});
