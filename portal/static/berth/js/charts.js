/* <time-chart>: a line chart over time, drawn by uPlot on a canvas in the theme's colours.
 *
 * data-src    id of the JSON block: {"x": [seconds, …], "name": [values, …], …}
 * data-series names in that block, separated by commas
 * data-colors numbers of the theme's chart colours, in the same order
 * data-unit   "%" (scale 0–100), "B/s" or "s" (scale by the data; gaps are bridged, a series "goal" is a dashed line) */

import uPlot from "../../vendor/uplot/uPlot.esm.js";
import { pageData } from "./texts.js";

const root = document.documentElement;
const language = root.lang === "en" ? "en-GB" : root.lang;
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const twoDays = 2 * 86400;
const moment = (seconds, span) => (span > twoDays ? day : clock).format(seconds * 1000);
const token = (name) => getComputedStyle(root).getPropertyValue(name).trim();

const sizes = ["B", "KiB", "MiB", "GiB"];
const steps = Array.from({ length: 32 }, (_, power) => 2 ** power); // axis marks at round binary sizes

function rate(value) {
  let size = 0;
  while (value >= 1024 && size < sizes.length - 1) {
    value /= 1024;
    size += 1;
  }
  const digits = value >= 10 || value === 0 ? 0 : 1;
  const shape = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false };
  return `${value.toLocaleString(language, shape)} ${sizes[size]}/s`;
}

function gradient(color) {
  return (plot) => {
    if (!Number.isFinite(plot.bbox?.height)) return `${color}22`; // not laid out yet on the first draw
    const fill = plot.ctx.createLinearGradient(0, plot.bbox.top, 0, plot.bbox.top + plot.bbox.height);
    fill.addColorStop(0, `${color}44`);
    fill.addColorStop(1, `${color}03`);
    return fill;
  };
}

class TimeChart extends HTMLElement {
  connectedCallback() {
    this.redraw = () => this.draw();
    this.reread = () => this.plot?.setData(this.read());
    document.addEventListener("berth:theme", this.redraw);
    document.addEventListener("htmx:after:swap", this.reread);
    this.observer = new ResizeObserver(() => {
      if (this.clientWidth) this.plot?.setSize({ width: this.clientWidth, height: this.height });
    });
    this.observer.observe(this);
    this.draw();
  }

  disconnectedCallback() {
    document.removeEventListener("berth:theme", this.redraw);
    document.removeEventListener("htmx:after:swap", this.reread);
    this.observer.disconnect();
    this.plot?.destroy();
    this.plot = null;
  }

  get height() {
    return Number(this.dataset.height) || 150;
  }

  get names() {
    return this.dataset.series.split(",");
  }

  read() {
    const data = pageData(this.dataset.src);
    return [data.x || [], ...this.names.map((name) => data[name] || [])];
  }

  draw() {
    this.plot?.destroy();
    const unit = this.dataset.unit || "%";
    const percent = unit === "%";
    const least = unit === "s" ? 1 : 1024;
    const label = { "%": (tick) => `${tick} %`, s: (tick) => `${tick} s`, "B/s": rate }[unit];
    const axis = {
      stroke: token("--text-quiet"),
      grid: { stroke: token("--chart-grid"), width: 1 },
      ticks: { show: false },
      font: "11px Inter",
    };
    const colors = this.dataset.colors.split(",").map((number) => token(`--chart-${number}`));
    const options = {
      width: this.clientWidth || 300,
      height: this.height,
      padding: [8, 12, 0, 0],
      cursor: { points: { size: 7 }, y: false },
      scales: { y: { range: percent ? [0, 100] : (plot, low, high) => [0, Math.max(high * 1.1, least)] } },
      axes: [
        { ...axis, size: 28, space: 70, values: (plot, ticks) => ticks.map((tick) => moment(tick, ticks.at(-1) - ticks[0])) },
        {
          ...axis,
          size: unit === "B/s" ? 68 : 46,
          incrs: unit === "B/s" ? steps : undefined,
          space: 34,
          values: (plot, ticks) => ticks.map(label),
        },
      ],
      series: [
        {},
        ...this.names.map((name, index) => ({
          label: name,
          stroke: colors[index],
          width: 1.8,
          fill: name === "goal" ? undefined : gradient(colors[index]),
          dash: name === "goal" ? [6, 4] : undefined,
          spanGaps: unit === "s",
          points: { show: unit === "s" && name !== "goal", size: 5 },
        })),
      ],
    };
    this.plot = new uPlot(options, this.read(), this);
  }
}

customElements.define("time-chart", TimeChart);
