/* Lists of the back office stay what they are now: what changed meanwhile is put in place while nobody works in them. */

const EVERY = 5000;
const LIST = "#result_list";

function inUse(list) {
  return (
    document.hidden ||
    list.contains(document.activeElement) ||
    list.querySelector("input[type=checkbox]:checked, select, input[type=text], [aria-expanded=true]") !== null ||
    [...list.querySelectorAll("nav, [x-show]")].some((menu) => menu.offsetParent !== null)
  );
}

async function look() {
  const list = document.querySelector(LIST);
  if (!list || inUse(list)) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector(LIST);
  if (!fresh || inUse(list) || fresh.textContent === list.dataset.told) return;
  list.dataset.told = fresh.textContent;
  list.replaceChildren(...fresh.childNodes);
}

setInterval(() => look().catch(() => {}), EVERY);
