/* Completion in a search field that has a language: <input data-completes="address"> asks the address what can stand
 * where the cursor is, and offers it in a list below. Arrow keys choose, Tab or Enter takes, Escape closes. */

const pause = 120;
let timer;
let list;
let shown = { input: null, words: [], at: -1 };

function box() {
  if (list) return list;
  list = document.createElement("ul");
  list.id = "completions";
  list.className = "completions";
  list.setAttribute("role", "listbox");
  list.hidden = true;
  document.querySelector("main").append(list); // outside of what the live page replaces
  list.addEventListener("mousedown", (event) => {
    const item = event.target.closest("[role=option]");
    event.preventDefault(); // the field keeps the focus
    if (item) take(Number(item.dataset.index));
  });
  return list;
}

function close() {
  if (shown.input) {
    shown.input.setAttribute("aria-expanded", "false");
    shown.input.removeAttribute("aria-activedescendant");
  }
  box().hidden = true;
  shown = { input: null, words: [], at: -1 };
}

function mark(index) {
  shown.at = index;
  for (const item of box().children) item.setAttribute("aria-selected", String(Number(item.dataset.index) === index));
  const item = box().children[index];
  if (item) {
    shown.input.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  } else shown.input.removeAttribute("aria-activedescendant");
}

function open(input, words) {
  if (!words.length || document.activeElement !== input) {
    close();
    return;
  }
  shown = { input, words, at: -1 };
  box().setAttribute("aria-label", input.getAttribute("aria-label"));
  box().replaceChildren(
    ...words.map(({ text, hint }, index) => {
      const item = document.createElement("li");
      item.id = `completion-${index}`;
      item.dataset.index = index;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      const word = document.createElement("b");
      word.textContent = text;
      const told = document.createElement("span");
      told.textContent = hint;
      item.append(word, told);
      return item;
    }),
  );
  const place = input.getBoundingClientRect();
  box().style.left = `${place.left + scrollX}px`;
  box().style.top = `${place.bottom + scrollY + 4}px`;
  box().style.minWidth = `${place.width}px`;
  box().hidden = false;
  input.setAttribute("aria-expanded", "true");
}

async function ask(input) {
  const before = input.value.slice(0, input.selectionStart);
  try {
    const answer = await fetch(`${input.dataset.completes}?q=${encodeURIComponent(before)}`, {
      headers: { Accept: "application/json" },
    });
    const { words } = answer.ok ? await answer.json() : { words: [] };
    if (input.value.slice(0, input.selectionStart) === before) open(input, words);
  } catch {
    close(); // searching goes on without it
  }
}

function take(index) {
  const { input, words } = shown;
  const { text, start } = words[index];
  const after = input.value.slice(input.selectionStart);
  const glue = /^[=!~<>]+$/.test(text) || /[=~<>]$/.test(text) ? "" : " ";
  const until = start + text.length + glue.length;
  input.value = input.value.slice(0, start) + text + glue + after.trimStart();
  input.setSelectionRange(until, until);
  close();
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-completes]")) return;
  clearTimeout(timer);
  timer = setTimeout(ask, pause, event.target);
});

document.addEventListener("keydown", (event) => {
  if (!event.target.matches("[data-completes]")) return;
  const { words, at } = shown;
  if (!words.length) {
    if (event.key === "ArrowDown") ask(event.target);
    return;
  }
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const step = event.key === "ArrowDown" ? 1 : -1;
    mark((at + step + words.length + (at < 0 && step < 0 ? 1 : 0)) % words.length);
  } else if ((event.key === "Enter" && at >= 0) || (event.key === "Tab" && at >= 0)) take(at);
  else if (event.key === "Escape") close();
  else return;
  event.preventDefault();
});

// What the live page brings says that the list is closed.
document.addEventListener("htmx:after:swap", () => shown.input?.setAttribute("aria-expanded", "true"));

document.addEventListener("focusout", (event) => {
  if (event.target === shown.input) close();
});
