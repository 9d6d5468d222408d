/* Asks before something that cannot be taken back, in the page's own dialog instead of the browser's.
 *
 * Works for htmx requests (hx-confirm) and for plain forms (data-confirm). */

const dialog = document.getElementById("confirm");

function ask(text, label) {
  dialog.querySelector("[data-text]").textContent = text;
  dialog.querySelector("[data-yes]").textContent = label || dialog.dataset.label;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

document.addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  if (!ctx.confirm || !dialog) return;
  event.preventDefault();
  ask(ctx.confirm, ctx.sourceElement.dataset.confirmLabel).then((yes) => (yes ? issueRequest() : dropRequest()));
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.confirm || form.dataset.confirmed || !dialog) return;
  event.preventDefault();
  ask(form.dataset.confirm, form.dataset.confirmLabel).then((yes) => {
    if (!yes) return;
    form.dataset.confirmed = "yes";
    form.requestSubmit(event.submitter);
  });
});
