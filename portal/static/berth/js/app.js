/* What every signed-in page runs. Each module minds one thing and finds its own elements. */

import "./toasts.js";
import "./confirm.js";
import "./shortcuts.js";
import "./times.js";
import "./filters.js";
import "./complete.js";
import "./choose.js";
import "./rows.js";
import "./live.js";
import "./copy.js";
import "./why.js";

if (document.querySelector("[data-upload]")) import("./upload.js");
if (document.querySelector("time-chart")) import("./charts.js");
