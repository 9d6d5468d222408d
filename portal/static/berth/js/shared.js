/* Where a shared link leads. What stands behind the # is sent to the server by POST only, and leaves the address. */

import { pageData } from "./texts.js";

const data = pageData("shared-data");
const kept = "berth-shared";
const says = document.getElementById("shared-says");

if (location.hash.length > 1) {
  sessionStorage.setItem(kept, location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}

async function send(to, body) {
  const answer = await fetch(to, {
    method: "POST",
    credentials: "same-origin",
    headers: {
      "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value,
      Accept: "application/json",
      "Content-Type": "application/json",
    },
    body: JSON.stringify(body),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) says.textContent = [told.message, told.fix].filter(Boolean).join(" ");
  else {
    sessionStorage.removeItem(kept);
    location.replace(told.url);
  }
}

const secret = sessionStorage.getItem(kept);
if (!secret) says.textContent = data.none;
else if (!data.door) {
  sessionStorage.removeItem(kept);
  send(data.open, { secret });
} // else the page's own buttons lead on: to the sign-in, and that back here, or in as a guest

document.getElementById("enter")?.addEventListener("submit", (event) => {
  event.preventDefault();
  send(data.enter, { secret: secret ?? "", name: event.target.elements.name.value });
});
