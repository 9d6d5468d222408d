/* Where a shared link leads. What stands behind the # is sent to the server by POST only, and leaves the address. */

import { pageData } from "./texts.js";

const data = pageData("shared-data");
const kept = "berth-shared";
const says = document.getElementById("shared-says");

if (location.hash.length > 1) {
  sessionStorage.setItem(kept, location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}

async function open() {
  const secret = sessionStorage.getItem(kept);
  if (!secret) {
    says.textContent = data.none;
    return;
  }
  if (data.door) return; // the page's own button leads to the sign-in, and that back here
  sessionStorage.removeItem(kept);
  const answer = await fetch(data.open, {
    method: "POST",
    credentials: "same-origin",
    headers: {
      "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value,
      Accept: "application/json",
      "Content-Type": "application/json",
    },
    body: JSON.stringify({ secret }),
  });
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) location.replace(told.url);
  else says.textContent = [told.message, told.fix].filter(Boolean).join(" ");
}

open();
