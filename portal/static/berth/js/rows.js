/* Rows of a form of which there may be more: <div data-rows=PREFIX data-most=N> with the rows, a <template> of one and a
   button [data-one-more], which is shown only where this runs. */

for (const place of document.querySelectorAll("[data-rows]")) {
  const count = place.querySelector(`[name="${place.dataset.rows}-TOTAL_FORMS"]`);
  const template = place.querySelector("template");
  const button = place.querySelector("[data-one-more]");
  const most = Number(place.dataset.most);
  button.hidden = Number(count.value) >= most;
  button.addEventListener("click", () => {
    const made = document.createElement("template");
    made.innerHTML = template.innerHTML.replaceAll("__prefix__", count.value);
    template.before(made.content);
    count.value = Number(count.value) + 1;
    count.dispatchEvent(new Event("input", { bubbles: true })); // rescue.js takes away nothing that was begun
    button.hidden = Number(count.value) >= most;
    template.previousElementSibling.querySelector("input")?.focus();
  });
}
