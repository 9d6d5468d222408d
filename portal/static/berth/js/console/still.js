/* A short break shows the last picture, standing still, and a note at the edge; only a longer one the curtain. */

const most = 2000; // ms

let timer;
let still = null;

/** Keep what `canvas` shows where it is; `curtain` stays at the edge meanwhile. */
export function keepPicture(canvas, curtain) {
  const place = canvas?.getBoundingClientRect();
  if (!place?.width || !canvas.width) return;
  if (still) return; // the break goes on: what is there is the last that was seen
  still = document.createElement("canvas");
  still.width = canvas.width;
  still.height = canvas.height;
  still.getContext("2d").drawImage(canvas, 0, 0);
  still.className = "still";
  still.setAttribute("aria-hidden", "true");
  for (const side of ["left", "top", "width", "height"]) still.style[side] = `${place[side]}px`;
  document.body.append(still);
  curtain.classList.add("light");
  timer = setTimeout(() => curtain.classList.remove("light"), most);
}

/** The screen is back, or will not come back. */
export function dropPicture(curtain) {
  clearTimeout(timer);
  curtain.classList.remove("light");
  still?.remove();
  still = null;
}
