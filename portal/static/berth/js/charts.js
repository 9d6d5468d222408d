/* <time-chart>: a line chart over time, drawn by uPlot on a canvas in the theme's colours.
 *
 * data-src    id of the JSON block: {"x": [seconds, …], "name": [values, …], …}
 * data-series names in that block, separated by commas
 * data-colors numbers of the theme's chart colours, in the same order
 * data-unit   "%" (scale 0–100) or "B/s" (scale by the data) */

import uPlot from "../../vendor/uplot/uPlot.esm.js";
import { pageData } from "./texts.js";

const root = document.documentElement;
const language = root.lang === "en" ? "en-GB" : root.lang;
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const token = (name) => getComputedStyle(root).getPropertyValue(name).trim();

const sizes = ["B", "KiB", "MiB", "GiB"];
const steps = Array.from({ length: 32 }, (_, power) => 2 ** power); // axis marks at round binary sizes

function rate(value) {
  let size = 0;
  while (value >= 1024 && size < sizes.length - 1) {
    value /= 1024;
    size += 1;
  }
  return `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)} ${sizes[size]}/s`;
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
    const percent = this.dataset.unit !== "B/s";
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
      scales: { y: { range: percent ? [0, 100] : (plot, low, high) => [0, Math.max(high * 1.1, 1024)] } },
      axes: [
        { ...axis, size: 28, space: 70, values: (plot, ticks) => ticks.map((tick) => clock.format(tick * 1000)) },
        {
          ...axis,
          size: percent ? 46 : 68,
          incrs: percent ? undefined : steps,
          space: 34,
          values: (plot, ticks) => ticks.map((tick) => (percent ? `${tick} %` : rate(tick))),
        },
      ],
      series: [
        {},
        ...this.names.map((name, index) => ({
          label: name,
          stroke: colors[index],
          width: 1.8,
          fill: gradient(colors[index]),
          points: { show: false },
        })),
      ],
    };
    this.plot = new uPlot(options, this.read(), this);
  }
}

customElements.define("time-chart", TimeChart);
