/* A short break shows the last picture, standing still, and a note at the edge; only a longer one the curtain. */

const most = 2000; // ms

let timer;
let still = null;

/** A copy of what `canvas` shows, of the size and at the place where it is shown; nothing of one that shows nothing. */
export function pictureOf(canvas) {
  const place = canvas?.getBoundingClientRect();
  if (!place?.width || !canvas.width) return null;
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  copy.getContext("2d").drawImage(canvas, 0, 0);
  for (const side of ["left", "top", "width", "height"]) copy.style[side] = `${place[side]}px`;
  return copy;
}

/** Show `picture` (see `pictureOf`) over the screen; `curtain` stays at the edge meanwhile. */
export function keepPicture(picture, curtain) {
  if (!picture || still) return; // while a break goes on, what is there is the last that was seen
  still = picture;
  still.className = "still";
  still.setAttribute("aria-hidden", "true");
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
