/* Interactive figures: sliders, draggable points, axes. No dependencies, no modules (they must
   run from file://). A figure is a script of its own, book/_static/explorables/<name>.js, loaded
   on the pages that contain its place, which the build fills with the still of the figure:

     <div class="explorable" data-explorable="<name>"></div>

   and it says what it is in one call:

     Explorable.define("<name>", {
       title: "The question that it answers",      // title, task and start are plain JSON: the build
       task: "What to do, and what to look for.",  // reads them for the still
       start: { "tau": 1, "n": 3, "law": "logistic", "raw": false, "z0": 1 },
       params: {                                   // the controls, in this order
         tau: { label: "temperature τ", min: 0.1, max: 10, log: true },
         n:   { label: "classes", min: 2, max: 50, step: 1 },
         law: { label: "loss", options: ["logistic", "hinge"] },
         raw: { label: "show raw values" },                         // a check box
         z0:  { label: "logit 1", min: -4, max: 4, hidden: true }   // moved by a handle only
       },
       panels: 2,              // number of drawings (default 1), side by side where they fit
       height: 260,            // of a drawing, in pixels (default 260)
       play: "n",              // optional: a button that runs this parameter from min to max
       compute(p) {            // pure: parameters in, plain numbers and arrays out; tested against Python
         return { probs: Explorable.softmax([p.z0 / p.tau, 0]) };
       },
       draw(plot, p, r) {      // one call per change; with panels: 2 it gets [left, right]
         plot.axes({ x: [0, 1], y: [0, 1], xlabel: "probability", ylabel: "loss", logx: false, logy: false,
           equal: false });    // equal: the same scale on both axes; a range grows if it must
         plot.line(xs, ys, { role: "measured", label: "loss" });    // labels stand above the drawing
         plot.points(xs, ys, { role: "paper" });
         plot.bars(xs, ys, { role: "measured", width: 0.6, names: ["a", "b"] });
         plot.area(xs, low, high, { role: "bound" });
         plot.vline(x, { role: "bound", label: "limit" });   plot.hline(y, {...});
         plot.text(x, y, "words", { anchor: "middle", dx: 0, dy: -6 });
         plot.heat((x, y) => value, { low: 0, high: 1, columns: 60, rows: 40 });
         plot.handle("point", { x: "z0", y: "z1", label: "logits" });   // drag or arrow keys; x or y may be
       },                                                                // left out or be a number (fixed)
       values(p, r) {          // shown as text beside the drawing; changes are read out by screen readers
         return [["entropy", Explorable.format(r.entropy) + " nats"]];
       },
     });

   Roles carry color and line style as in all figures: paper, measured, bound, failure, ours, ink.
   Explorable.compute[name](params) is the pure function; missing parameters take their start values.
   Explorable.linspace(a, b, n), logspace(a, b, n), lse(z), softmax(z), sum(a), format(x, digits). */
window.Explorable = (function () {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const PANEL = 250; // a drawing is at least as wide where two fit
  const GAP = 12;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const specs = {};
  const compute = {};
  const instances = {};
  let serial = 0;

  /* ---- numbers ---- */

  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const linspace = (a, b, n) => Array.from({ length: n }, (_, i) => a + ((b - a) * i) / (n - 1));
  const logspace = (a, b, n) => linspace(Math.log(a), Math.log(b), n).map(Math.exp);

  function lse(z) {
    const top = Math.max(...z);
    return top + Math.log(sum(z.map((value) => Math.exp(value - top))));
  }

  function softmax(z) {
    const total = lse(z);
    return z.map((value) => Math.exp(value - total));
  }

  function format(x, digits = 3) {
    if (!Number.isFinite(x)) return Number.isNaN(x) ? "–" : x > 0 ? "∞" : "−∞";
    if (x === 0) return "0";
    const size = Math.abs(x);
    let text;
    if (size >= 1e5 || size < 1e-4) {
      const [mantissa, power] = x.toExponential(digits - 1).split("e");
      text = mantissa + "·10" + power.replace("+", "").replace(/[-\d]/g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] || "⁻");
    } else {
      const large = Number(size.toPrecision(digits)) >= 10 ** digits;
      text = Number.isInteger(x) ? String(x) : large ? x.toFixed(0) : x.toPrecision(digits);
    }
    return text.replace("-", "−");
  }

  /* ---- elements ---- */

  function html(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  function svg(tag, attributes = {}, ...children) {
    const node = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  /* ---- axes ---- */

  function ticks([low, high], log, count) {
    if (log) {
      const first = Math.ceil(Math.log10(low) - 1e-9);
      const last = Math.floor(Math.log10(high) + 1e-9);
      const step = Math.max(1, Math.ceil((last - first + 1) / count));
      const found = [];
      for (let power = first; power <= last; power += step) found.push(10 ** power);
      return found;
    }
    const rough = (high - low) / count;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = unit * [1, 2, 2.5, 5, 10].find((m) => m * unit >= rough * 0.999);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
    return found.map((value) => (Math.abs(value) < step * 1e-6 ? 0 : value));
  }

  function tickText(value, log) {
    if (!log) return String(Number(value.toPrecision(6))).replace("-", "−");
    const power = Math.round(Math.log10(value));
    if (power >= -3 && power <= 3) return String(Number(value.toPrecision(1)));
    return "10" + String(power).replace(/[-\d]/g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] || "⁻");
  }

  class Plot {
    constructor(figure, index) {
      this.figure = figure;
      this.index = index;
      this.root = svg("svg", { class: "explorable-plot", role: "group" });
      this.key = html("div", { class: "explorable-key" });
      this.node = html("div", { class: "explorable-panel" }, this.key, this.root);
      [this.ground, this.marks, this.labels] = [1, 2, 3].map(() =>
        this.root.appendChild(svg("g", { "aria-hidden": "true" })));
      this.grips = this.root.appendChild(svg("g"));
      this.handles = {};
    }

    begin(width, height) {
      Object.assign(this, { width, height });
      this.root.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.root.setAttribute("width", width);
      this.root.setAttribute("height", height);
      this.root.classList.remove("heated");
      this.node.style.width = `${width}px`;
      for (const layer of [this.ground, this.marks, this.labels, this.key]) layer.replaceChildren();
      this.used = new Set();
    }

    end() {
      for (const [name, handle] of Object.entries(this.handles)) {
        if (!this.used.has(name)) { handle.node.remove(); delete this.handles[name]; }
      }
    }

    axes({ x, y, xlabel = "", ylabel = "", logx = false, logy = false, xticks, yticks, equal = false }) {
      const box = { left: ylabel ? 52 : yticks ? 8 : 38, right: 12, top: 12, bottom: xlabel ? 42 : xticks ? 8 : 26 };
      Object.assign(this, { x, y, logx, logy, box });
      this.root.setAttribute("aria-label", ylabel ? `${ylabel} against ${xlabel}` : "drawing");
      this.inner = { width: this.width - box.left - box.right, height: this.height - box.top - box.bottom };
      if (equal) this.equalize();
      const bottom = this.height - box.bottom;
      const clip = `clip-${this.figure.id}-${this.index}`;
      this.ground.append(svg("clipPath", { id: clip }, svg("rect", {
        x: box.left, y: box.top - 3, width: this.inner.width, height: this.inner.height + 6 })));
      this.marks.setAttribute("clip-path", `url(#${clip})`);
      for (const value of xticks || ticks(this.x, logx, Math.max(logx ? 4 : 3, this.inner.width / 75))) {
        const at = this.px(value);
        this.ground.append(
          svg("line", { class: "grid", x1: at, x2: at, y1: box.top, y2: bottom }),
          svg("text", { class: "tick", x: at, y: bottom + 15, "text-anchor": "middle" }, tickText(value, logx)));
      }
      for (const value of yticks || ticks(this.y, logy, Math.max(logy ? 4 : 3, this.inner.height / 48))) {
        const at = this.py(value);
        this.ground.append(
          svg("line", { class: "grid", x1: box.left, x2: this.width - box.right, y1: at, y2: at }),
          svg("text", { class: "tick", x: box.left - 6, y: at + 4, "text-anchor": "end" }, tickText(value, logy)));
      }
      if (xlabel) this.ground.append(
        svg("path", { class: "frame", d: `M${box.left} ${box.top}V${bottom}H${this.width - box.right}` }),
        svg("text", { class: "label", x: box.left + this.inner.width / 2, y: this.height - 6, "text-anchor": "middle" }, xlabel),
        svg("text", { class: "label", "text-anchor": "middle",
          transform: `translate(13 ${box.top + this.inner.height / 2}) rotate(-90)` }, ylabel));
    }

    /* Widen one range about its middle, so that a unit is as long across as it is up. */
    equalize() {
      const size = (range) => range[1] - range[0];
      const unit = Math.max(size(this.x) / this.inner.width, size(this.y) / this.inner.height);
      const widen = (range, pixels) => [-1, 1].map((side) => (range[0] + range[1] + side * unit * pixels) / 2);
      this.x = widen(this.x, this.inner.width);
      this.y = widen(this.y, this.inner.height);
    }

    px(value) { return this.box.left + this.inner.width * share(value, this.x, this.logx); }
    py(value) { return this.box.top + this.inner.height * (1 - share(value, this.y, this.logy)); }
    ux(pixel) { return unshare((pixel - this.box.left) / this.inner.width, this.x, this.logx); }
    uy(pixel) { return unshare(1 - (pixel - this.box.top) / this.inner.height, this.y, this.logy); }

    path(xs, ys) {
      let pen = "M";
      let d = "";
      xs.forEach((value, i) => {
        const [u, v] = [this.px(value), this.py(ys[i])];
        if (!Number.isFinite(u) || !Number.isFinite(v)) { pen = "M"; return; }
        d += `${pen}${u.toFixed(2)} ${Math.max(-1e4, Math.min(1e4, v)).toFixed(2)}`;
        pen = "L";
      });
      return d;
    }

    line(xs, ys, { role = "measured", label = "", width = 2 } = {}) {
      this.marks.append(svg("path", { class: `line role-${role}`, d: this.path(xs, ys), "stroke-width": width }));
      this.explain(role, label, "line");
    }

    area(xs, low, high, { role = "bound", label = "" } = {}) {
      const d = this.path([...xs, ...[...xs].reverse()], [...high, ...[...low].reverse()]);
      this.marks.append(svg("path", { class: `area role-${role}`, d: d + "Z" }));
      this.explain(role, label, "area");
    }

    points(xs, ys, { role = "measured", label = "", size = 4 } = {}) {
      xs.forEach((value, i) => this.marks.append(marker(role, this.px(value), this.py(ys[i]), size)));
      this.explain(role, label, "point");
    }

    bars(xs, ys, { role = "measured", width = 0.7, label = "", names = [] } = {}) {
      const zero = this.py(Math.max(this.y[0], this.logy ? this.y[0] : 0));
      xs.forEach((value, i) => {
        const [left, right, top] = [this.px(value - width / 2), this.px(value + width / 2), this.py(ys[i])];
        this.marks.append(svg("rect", { class: `bar role-${role}`, x: left, width: right - left,
          y: Math.min(top, zero), height: Math.abs(top - zero) }));
        if (names[i]) this.labels.append(svg("text", { class: "note", x: (left + right) / 2, y: Math.min(top, zero) - 5,
          "text-anchor": "middle" }, names[i]));
      });
      this.explain(role, label, "area");
    }

    vline(x, options = {}) { this.rule(x, options, true); }
    hline(y, options = {}) { this.rule(y, options, false); }

    rule(value, { role = "paper", label = "" } = {}, upright) {
      const { left, right, top, bottom } = this.box;
      const at = upright ? this.px(value) : this.py(value);
      const ends = upright
        ? { x1: at, x2: at, y1: top, y2: this.height - bottom }
        : { x1: left, x2: this.width - right, y1: at, y2: at };
      this.marks.append(svg("line", { class: `line role-${role}`, "stroke-width": 1.6, ...ends }));
      this.explain(role, label, "line");
    }

    text(x, y, words, { anchor = "start", dx = 0, dy = 0, role = "ink" } = {}) {
      this.labels.append(svg("text", { class: `note text-${role}`, x: this.px(x) + dx, y: this.py(y) + dy,
        "text-anchor": anchor }, words));
    }

    heat(value, { low = 0, high = 1, columns = 72, rows = 48 } = {}) {
      const canvas = html("canvas", { width: columns, height: rows });
      const context = canvas.getContext("2d");
      const pixels = context.createImageData(columns, rows);
      for (let j = 0; j < rows; j++) {
        for (let i = 0; i < columns; i++) {
          const x = unshare((i + 0.5) / columns, this.x, this.logx);
          const y = unshare(1 - (j + 0.5) / rows, this.y, this.logy);
          const color = cividis((value(x, y) - low) / (high - low));
          pixels.data.set([...color, 255], 4 * (j * columns + i));
        }
      }
      context.putImageData(pixels, 0, 0);
      this.root.classList.add("heated"); // colors for the ground, in dark mode too
      this.marks.append(svg("image", { href: canvas.toDataURL(), x: this.box.left, y: this.box.top,
        width: this.inner.width, height: this.inner.height, preserveAspectRatio: "none" }));
    }

    /* An entry of the key above the drawing. */
    explain(role, label, kind) {
      if (!label) return;
      const swatch = svg("svg", { class: "explorable-plot", width: 24, height: 12, viewBox: "0 0 24 12", "aria-hidden": "true" },
        kind === "point" ? marker(role, 12, 6, 4)
          : kind === "area" ? svg("rect", { class: `bar role-${role}`, x: 1, y: 1, width: 22, height: 10 })
            : svg("path", { class: `line role-${role}`, d: "M1 6h22", "stroke-width": 2 }));
      this.key.append(html("span", {}, swatch, label));
    }

    /* A point that the reader moves: by pointer, finger, or arrow keys. */
    handle(name, options) {
      this.used.add(name);
      const handle = this.handles[name] || (this.handles[name] = this.makeHandle(name));
      handle.options = options;
      const p = this.figure.params;
      const [x, y] = ["x", "y"].map((axis) => this.handleValue(options, axis, p));
      const inside = (at, low, size) => Math.min(low + size, Math.max(low, at));
      handle.at = [inside(this.px(x), this.box.left, this.inner.width), inside(this.py(y), this.box.top, this.inner.height)];
      handle.node.setAttribute("transform", `translate(${handle.at[0].toFixed(2)} ${handle.at[1].toFixed(2)})`);
      const moved = ["x", "y"].filter((axis) => typeof options[axis] === "string").map((axis) => options[axis]);
      const words = moved.map((key) => `${this.figure.spec.params[key].label} ${format(p[key])}`).join(", ");
      const node = handle.node;
      node.setAttribute("aria-label", options.label || name);
      node.setAttribute("aria-valuetext", words);
      node.setAttribute("aria-valuenow", p[moved[0]]);
      node.setAttribute("aria-valuemin", this.figure.spec.params[moved[0]].min);
      node.setAttribute("aria-valuemax", this.figure.spec.params[moved[0]].max);
    }

    handleValue(options, axis, p) {
      const bound = options[axis];
      if (typeof bound === "string") return p[bound];
      if (typeof bound === "number") return bound;
      const range = this[axis];
      return axis === "y" ? range[0] : (range[0] + range[1]) / 2;
    }

    makeHandle() {
      const node = svg("g", { class: "handle", tabindex: 0, role: "slider" },
        svg("circle", { class: "reach", r: 22 }), svg("circle", { class: "grip", r: 8 }));
      const handle = { node, options: {} };
      this.grips.append(node);
      const place = (event) => {
        const frame = this.root.getBoundingClientRect();
        const scale = this.width / frame.width;
        return [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
      };
      let held = null; // the handle nearest to the pointer, and how far it is from it
      node.addEventListener("pointerdown", (event) => {
        const [x, y] = place(event);
        const away = (other) => Math.hypot(other.at[0] - x, other.at[1] - y);
        const nearest = Object.values(this.handles).reduce((one, two) => (away(two) < away(one) ? two : one));
        held = { handle: nearest, dx: nearest.at[0] - x, dy: nearest.at[1] - y };
        node.setPointerCapture(event.pointerId);
        nearest.node.classList.add("held");
        nearest.node.focus({ preventScroll: true });
        event.preventDefault();
      });
      node.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false }); // or the page scrolls
      node.addEventListener("pointermove", (event) => {
        if (!held) return;
        const [x, y] = place(event);
        this.moveTo(held.handle, this.ux(x + held.dx), this.uy(y + held.dy));
      });
      for (const end of ["pointerup", "pointercancel"]) {
        node.addEventListener(end, () => { held?.handle.node.classList.remove("held"); held = null; });
      }
      node.addEventListener("keydown", (event) => {
        const step = event.shiftKey ? 0.1 : 0.02;
        const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step],
          PageUp: [0, 0.1], PageDown: [0, -0.1], Home: [0, -9], End: [0, 9] }[event.key];
        if (!by) return;
        event.preventDefault();
        const p = this.figure.params;
        const [x, y] = ["x", "y"].map((axis) => this.handleValue(handle.options, axis, p));
        const across = typeof handle.options.x === "string" ? by[0] : 0;
        const along = typeof handle.options.y === "string" ? by[1] || (across ? 0 : by[0]) : 0;
        const push = across || (typeof handle.options.y === "string" ? 0 : by[1]);
        this.moveTo(handle, unshare(share(x, this.x, this.logx) + push, this.x, this.logx),
          unshare(share(y, this.y, this.logy) + along, this.y, this.logy));
      });
      return handle;
    }

    moveTo(handle, x, y) {
      const change = {};
      if (typeof handle.options.x === "string") change[handle.options.x] = x;
      if (typeof handle.options.y === "string") change[handle.options.y] = y;
      this.figure.set(change);
    }
  }

  function share(value, [low, high], log) {
    return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  }

  function unshare(part, [low, high], log) {
    return log ? low * (high / low) ** part : low + (high - low) * part;
  }

  function marker(role, x, y, size) {
    const shapes = {
      paper: `M${x - size} ${y - size}h${2 * size}v${2 * size}h${-2 * size}Z`,
      bound: `M${x} ${y - 1.2 * size}l${1.15 * size} ${2.1 * size}h${-2.3 * size}Z`,
      ours: `M${x} ${y - 1.3 * size}l${1.3 * size} ${1.3 * size}l${-1.3 * size} ${1.3 * size}l${-1.3 * size} ${-1.3 * size}Z`,
      failure: `M${x - size} ${y - size}l${2 * size} ${2 * size}M${x - size} ${y + size}l${2 * size} ${-2 * size}`,
    };
    return shapes[role]
      ? svg("path", { class: `point role-${role}`, d: shapes[role] })
      : svg("circle", { class: `point role-${role}`, cx: x, cy: y, r: size });
  }

  function cividis(share) {
    const stops = [[0, 32, 77], [61, 78, 108], [124, 123, 120], [188, 174, 108], [255, 234, 70]];
    const at = 4 * Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0));
    const i = Math.min(3, Math.floor(at));
    return stops[i].map((value, k) => Math.round(value + (at - i) * (stops[i + 1][k] - value)));
  }

  /* ---- a figure on a page ---- */

  class Figure {
    constructor(place, name, spec) {
      Object.assign(this, { place, name, spec, id: ++serial, params: { ...spec.start }, inputs: {} });
      this.box = html("div", { class: "explorable-box", role: "group", "aria-label": spec.title });
      this.plots = Array.from({ length: spec.panels || 1 }, (_, i) => new Plot(this, i));
      this.panels = html("div", { class: "explorable-panels" }, ...this.plots.map((plot) => plot.node));
      this.text = html("dl", { class: "explorable-values" });
      this.news = html("p", { class: "explorable-news", role: "status" });
      this.hint = html("p", { class: "explorable-hint" },
        "Circles: drag them, or use the arrow keys; with Shift the steps are larger.");
      this.box.append(html("p", { class: "explorable-title" }, spec.title), html("p", { class: "explorable-task" }, spec.task),
        this.panels, this.hint, this.controls(), this.text, this.news);
      place.append(this.box);
      try { this.refresh(); } catch (error) { this.box.remove(); throw error; }
      place.replaceChildren(this.box); // the still goes when everything else has worked
      place.classList.add("ready");
      new ResizeObserver(() => this.panels.clientWidth !== this.drawnFor && this.refresh()).observe(this.panels);
    }

    controls() {
      const list = html("div", { class: "explorable-controls" });
      for (const [key, param] of Object.entries(this.spec.params)) {
        if (!param.hidden) list.append(this.control(key, param));
      }
      const buttons = html("div", { class: "explorable-buttons" });
      if (this.spec.play && !still.matches) buttons.append(this.playButton());
      const reset = html("button", { type: "button" }, "Reset");
      reset.addEventListener("click", () => this.set(this.spec.start));
      buttons.append(reset);
      list.append(buttons);
      return list;
    }

    control(key, param) {
      const id = `explorable-${this.id}-${key}`;
      const label = html("label", { for: id }, param.label || key);
      if (param.options) {
        const select = html("select", { id }, ...param.options.map((value) => html("option", { value }, value)));
        select.addEventListener("change", () => this.set({ [key]: select.value }));
        this.inputs[key] = { show: (value) => { select.value = value; } };
        return html("div", { class: "control" }, label, select);
      }
      if (typeof this.spec.start[key] === "boolean") {
        const box = html("input", { id, type: "checkbox" });
        box.addEventListener("change", () => this.set({ [key]: box.checked }));
        this.inputs[key] = { show: (value) => { box.checked = value; } };
        return html("div", { class: "control check" }, box, label);
      }
      const range = [param.min, param.max];
      const steps = param.step && !param.log ? (param.max - param.min) / param.step : 400;
      const input = html("input", { id, type: "range", min: 0, max: steps, step: 1 });
      const shown = html("output", { for: id });
      input.addEventListener("input", () => this.set({ [key]: unshare(input.value / steps, range, param.log) }));
      this.inputs[key] = { show: (value) => {
        input.value = Math.round(share(value, range, param.log) * steps);
        shown.textContent = format(value, param.digits);
        input.setAttribute("aria-valuetext", shown.textContent);
      } };
      return html("div", { class: "control" }, label, input, shown);
    }

    playButton() {
      const key = this.spec.play;
      const { min, max, log } = this.spec.params[key];
      const button = html("button", { type: "button" }, "Play");
      const stop = () => { this.playing = false; button.textContent = "Play"; this.announce(); };
      button.addEventListener("click", () => {
        if (this.playing) return stop();
        this.playing = true;
        button.textContent = "Pause";
        let part = share(this.params[key], [min, max], log);
        if (part > 0.99) part = 0;
        let last = performance.now();
        const step = (now) => {
          if (!this.playing) return;
          part += (now - last) / 6000;
          last = now;
          this.set({ [key]: unshare(Math.min(1, part), [min, max], log) });
          if (part >= 1) stop(); else requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
      });
      return button;
    }

    /* Change parameters: numbers stay in range and on their steps, and everything is drawn again. */
    set(change) {
      for (const [key, value] of Object.entries(change)) this.params[key] = admit(this.spec.params[key], value);
      this.refresh();
    }

    refresh() {
      const { spec, params, plots } = this;
      this.drawnFor = this.panels.clientWidth;
      const available = Math.max(this.drawnFor || 320, 240);
      const columns = Math.min(plots.length, Math.max(1, Math.floor((available + GAP) / (PANEL + GAP))));
      const narrow = Math.floor((available - GAP * (columns - 1)) / columns);
      const last = plots.length % columns ? plots.length - 1 : -1; // alone in its row: as wide as two
      const height = Math.min(spec.height || 260, Math.max(200, Math.round(0.8 * available)));
      const result = spec.compute(params);
      plots.forEach((plot, i) => plot.begin(i === last ? available : narrow, height));
      spec.draw(plots.length > 1 ? plots : plots[0], params, result);
      plots.forEach((plot) => plot.end());
      this.hint.hidden = plots.every((plot) => !plot.used.size);
      for (const [key, input] of Object.entries(this.inputs)) input.show(params[key]);
      this.rows = spec.values(params, result).map(([name, value]) => [name, String(value)]);
      this.text.replaceChildren(...this.rows.map(([name, value]) =>
        html("div", {}, html("dt", {}, name), html("dd", {}, value))));
      this.told ||= new Map(this.rows);
      clearTimeout(this.timer);
      if (!this.playing) this.timer = setTimeout(() => this.announce(), 700);
    }

    /* Say what has changed, once the reader pauses. */
    announce() {
      const changed = this.rows.filter(([name, value]) => this.told.get(name) !== value);
      this.told = new Map(this.rows);
      if (changed.length) this.news.textContent = changed.map((row) => row.join(" ")).join("; ");
    }
  }

  function admit(param, value) {
    if (typeof value !== "number") return value;
    let inside = Math.min(param.max, Math.max(param.min, value));
    if (param.step && !param.log) inside = param.min + Math.round((inside - param.min) / param.step) * param.step;
    return Number(inside.toPrecision(12));
  }

  function start(name) {
    for (const place of document.querySelectorAll(`[data-explorable="${name}"]:not(.ready)`)) {
      instances[name] = new Figure(place, name, specs[name]);
    }
  }

  function define(name, spec) {
    specs[name] = spec;
    compute[name] = (params = {}) => spec.compute({ ...spec.start, ...params });
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => start(name));
    else start(name);
  }

  return { define, compute, specs, instances, format, linspace, logspace, lse, softmax, sum };
})();
