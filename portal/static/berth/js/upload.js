/* Sends an image to the library in pieces; what broke off is gone on with when the same file and name are chosen. */

const PIECE = 32 * 1024 * 1024;
const API = "/api/v1/images/";

class Refusal extends Error {}

async function call(form, method, path, { body, json, headers = {} } = {}) {
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const answer = await fetch(API + path, {
    method,
    body: json === undefined ? body : JSON.stringify(json),
    headers: {
      "X-CSRFToken": token,
      ...(json !== undefined && { "Content-Type": "application/json" }),
      ...headers,
    },
  });
  const told = await answer.json();
  if (!answer.ok) throw new Refusal([told.detail, told.fix].filter(Boolean).join(" "));
  return told;
}

/* The upload of that name that broke off, or a new one. */
async function begin(form, file, wish) {
  const found = await call(form, "GET", `?state=uploading&search=${encodeURIComponent(wish.name)}`);
  const same = found.results.find((one) => one.name === wish.name && one.size_bytes === file.size);
  return same ?? call(form, "POST", "", { json: wish });
}

async function send(form, file, wish, tell) {
  let image = await begin(form, file, wish);
  while (image.received_bytes < file.size) {
    const at = image.received_bytes;
    tell(at / file.size);
    image = await call(form, "PUT", `${image.id}/data/`, {
      body: file.slice(at, at + PIECE),
      headers: { "Content-Type": "application/octet-stream", "Upload-Offset": String(at) },
    });
  }
  tell(1);
  await call(form, "POST", `${image.id}/finish/`);
}

function mind(form) {
  const [alert, shown] = [form.querySelector("[role=alert]"), form.querySelector("[data-progress]")];
  const button = form.querySelector("button");
  form.elements.file.addEventListener("change", () => {
    const file = form.elements.file.files[0];
    if (!file) return;
    form.elements.kind.value = /\.iso$/i.test(file.name) ? "iso" : "disk";
    form.elements.name.value ||= file.name.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+/, "").slice(0, 64);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const file = form.elements.file.files[0];
    const fields = ["name", "kind", "storage", "sha256"].map((name) => [name, form.elements[name].value.trim()]);
    const wish = { ...Object.fromEntries(fields.filter(([, value]) => value)), size_bytes: file.size };
    alert.hidden = true;
    shown.hidden = false;
    button.disabled = true;
    try {
      await send(form, file, wish, (share) => {
        const percent = Math.floor(share * 100);
        shown.querySelector("progress").value = percent;
        shown.querySelector("[role=status]").textContent = `${form.dataset.sending}: ${percent} %`;
      });
      location.assign(form.dataset.done);
    } catch (error) {
      alert.querySelector("p").textContent = error instanceof Refusal ? error.message : form.dataset.again;
      alert.hidden = false;
      shown.hidden = true;
      button.disabled = false;
    }
  });
}

document.querySelectorAll("[data-upload]").forEach(mind);
