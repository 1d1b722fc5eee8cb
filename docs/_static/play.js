// The page "Try it": a landscape over two weights, the update rules, and the page's controls.
//
// The rules are those of the specification (tetrapla.spec.optimizers), in the symbols and the
// order of impls/numpy/optimizers.py; tests/test_play.py holds every step against it.
"use strict";

(() => {
  // J = A (w1 - 1)^2 ((w1 + 1)^2 + B) + C (w2 - D w1^2)^2: the first term has two dips, the
  // second is the ravine. The page's formula has the same constants.
  const A = 0.5;
  const B = 0.18;
  const C = 5;
  const D = 0.5;

  function loss(w1, w2) {
    const aside = w2 - D * (w1 * w1); // how far from the ravine's floor
    return A * ((w1 - 1) * (w1 - 1)) * ((w1 + 1) * (w1 + 1) + B) + C * (aside * aside);
  }

  function gradient(w1, w2) {
    const aside = w2 - D * (w1 * w1);
    return [
      2 * A * (w1 - 1) * (2 * (w1 * (w1 + 1)) + B) - 4 * C * D * w1 * aside,
      2 * C * aside,
    ];
  }

  // Where the gradient is 0: exactly these, and a pass between them at (-0.1, 0.005).
  const PLACES = { lowest: [1, 0.5], false: [-0.9, 0.405] };

  // 1 - beta^t, without cancelling
  const bias_correction = (beta, t) => -Math.expm1(t * Math.log(beta));

  function adam(theta, g, s, t, { lr: eta, beta1, beta2, eps, eps_place }) {
    // 1. 1 - beta^t: averages that start at 0 are too small
    const c1 = bias_correction(beta1, t);
    const c2 = bias_correction(beta2, t);
    // 2. m and v: moving averages of g and g^2
    s.m = s.m * beta1 + (1 - beta1) * g;
    s.v = s.v * beta2 + (1 - beta2) * (g * g);
    // 3. corrected
    const m_hat = s.m / c1;
    const v_hat = s.v / c2;
    // 5. where epsilon stands (4 is amsgrad's, which is not here)
    if (eps_place === "uncorrected") eps = eps / Math.sqrt(c2);
    // 6. the step
    return theta - (eta * m_hat) / (Math.sqrt(v_hat) + eps);
  }

  // Each: one weight theta, its gradient g, its slots s, the step t counted from 1; returns
  // the new theta. `hyper` and `slots` begin as the specification's do.
  const RULES = {
    sgd: {
      label: "SGD",
      formula: "θ −= η g",
      hyper: { lr: 0.01 },
      slots: {},
      update: (theta, g, s, t, { lr: eta }) => theta - eta * g,
    },
    momentum: {
      label: "SGD with momentum",
      formula: "b = μ b + g;\nθ −= η b",
      hyper: { lr: 0.01, momentum: 0.9 },
      slots: { velocity: 0 },
      update(theta, g, s, t, { lr: eta, momentum: mu }) {
        s.velocity = s.velocity * mu + g;
        return theta - eta * s.velocity;
      },
    },
    nesterov: {
      label: "SGD with Nesterov momentum",
      formula: "b = μ b + g;\nθ −= η (g + μ b)",
      hyper: { lr: 0.01, momentum: 0.9 },
      slots: { velocity: 0 },
      update(theta, g, s, t, { lr: eta, momentum: mu }) {
        s.velocity = s.velocity * mu + g;
        return theta - eta * (mu * s.velocity + g);
      },
    },
    adagrad: {
      label: "Adagrad",
      formula: "a = a + g²;\nθ −= η g / (√a + ε)",
      hyper: { lr: 0.01, eps: 1e-10 },
      slots: { a: 0 },
      update(theta, g, s, t, { lr: eta, eps }) {
        s.a = s.a + g * g;
        return theta - (eta * g) / (Math.sqrt(s.a) + eps);
      },
    },
    adadelta: {
      label: "Adadelta",
      formula:
        "v = ρ v + (1 − ρ) g²;\nd = √(u + ε) / √(v + ε) g;\nu = ρ u + (1 − ρ) d²;\nθ −= η d",
      hyper: { lr: 1, rho: 0.95, eps: 1e-6 },
      slots: { v: 0, u: 0 },
      update(theta, g, s, t, { lr: eta, rho, eps }) {
        s.v = s.v * rho + (1 - rho) * (g * g);
        const d = (Math.sqrt(s.u + eps) / Math.sqrt(s.v + eps)) * g;
        s.u = s.u * rho + (1 - rho) * (d * d);
        return theta - eta * d;
      },
    },
    rmsprop: {
      label: "RMSProp",
      formula: "v = ρ v + (1 − ρ) g²;\nθ −= η g / (√v + ε)",
      hyper: { lr: 0.01, rho: 0.9, eps: 1e-8 },
      slots: { v: 0 },
      update(theta, g, s, t, { lr: eta, rho, eps }) {
        s.v = s.v * rho + (1 - rho) * (g * g);
        const d = g / (Math.sqrt(s.v) + eps);
        return theta - eta * d;
      },
    },
    adam: {
      label: "Adam",
      formula: "m = β₁ m + (1 − β₁) g;\nv = β₂ v + (1 − β₂) g²;\nθ −= η m̂ / (√v̂ + ε)",
      hyper: { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, eps_place: "outside" },
      slots: { m: 0, v: 0 },
      update: adam,
    },
    adam_keras: {
      label: "Adam, Keras’s dialect",
      formula:
        "m = β₁ m + (1 − β₁) g;\nv = β₂ v + (1 − β₂) g²;\nθ −= η m̂ / (√v̂ + ε / √(1 − β₂ᵗ))",
      hyper: { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-7, eps_place: "uncorrected" },
      slots: { m: 0, v: 0 },
      update: adam,
    },
  };

  const LIMIT = 1000; // a weight beyond it has diverged
  const START = [-1.5, -0.5];

  // All places of a descent and what was there: losses, gradients, and each slot of both
  // weights. It ends early where it diverges; numbers that are not given are the rule's own.
  function path(optimizer, { lr, momentum, steps = 200, start = START } = {}) {
    const rule = RULES[optimizer];
    const hyper = { ...rule.hyper };
    if (lr !== undefined) hyper.lr = lr;
    if (momentum !== undefined && "momentum" in hyper) hyper.momentum = momentum;
    const slots = start.map(() => ({ ...rule.slots }));
    const result = { points: [], losses: [], gradients: [], slots: [], diverged: false };

    function keep(w) {
      result.points.push(w);
      result.losses.push(loss(...w));
      result.gradients.push(gradient(...w));
      const of_both = (name) => [name, slots.map((s) => s[name])];
      result.slots.push(Object.fromEntries(Object.keys(rule.slots).map(of_both)));
      result.diverged = !w.every((theta) => Math.abs(theta) <= LIMIT);
    }

    keep([...start]);
    for (let t = 1; t <= steps && !result.diverged; t++) {
      const w = result.points[t - 1];
      const g = result.gradients[t - 1];
      keep(w.map((theta, i) => rule.update(theta, g[i], slots[i], t, hyper)));
    }
    return result;
  }

  // "diverged", "lowest" or "false" (its last ten places are there), or "neither".
  function outcome({ points, diverged }) {
    if (diverged) return "diverged";
    const near = (place) =>
      points.slice(-10).every(([w1, w2]) => Math.hypot(w1 - place[0], w2 - place[1]) < 0.1);
    return Object.keys(PLACES).find((name) => near(PLACES[name])) ?? "neither";
  }

  globalThis.tetraplaPlay = { path, outcome, loss, gradient, RULES, PLACES, START };

  // From here on: the page.

  const LEFT = -2;
  const TOP = 2; // the map: w1 from -2 to 2, w2 from -1 to 2
  const WIDTH = 4;
  const HEIGHT = 3;
  const LEVEL = 0.02; // the lowest contour; each further one is higher by the root of 2
  const LEVELS = 22;

  const SAID = {
    lowest: "It is at the lowest point.",
    false: "It is in the false minimum.",
    neither: "It is at neither minimum.",
  };

  const number = (x) => String(x).replace("-", "−");
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  // The nearest number that the map has on this axis: 0 for w1, 1 for w2.
  const on_map = (w, axis) =>
    axis === 0 ? clamp(w, LEFT, LEFT + WIDTH) : clamp(w, TOP - HEIGHT, TOP);
  // What the slider means: two digits, twenty values for each power of ten.
  const rate_of = (position) => Number((10 ** position).toPrecision(2));

  function colours(element, context) {
    const style = getComputedStyle(element);
    return (name, otherwise) => {
      context.fillStyle = otherwise;
      context.fillStyle = style.getPropertyValue(`--pst-color-${name}`).trim() || otherwise;
      context.fillRect(0, 0, 1, 1);
      return context.getImageData(0, 0, 1, 1).data;
    };
  }

  // Filled contours, with a line between two fills.
  function draw_terrain(canvas) {
    const scale = Math.min(devicePixelRatio || 1, 2);
    const columns = Math.round(canvas.clientWidth * scale);
    const rows = Math.round(canvas.clientHeight * scale);
    if (!columns || !rows) return;
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const colour = colours(canvas, context);
    const low = colour("background", "#fff");
    const high = colour("primary", "#0a7d91");
    const line = colour("text-muted", "#48566b");
    const image = context.createImageData(columns, rows);
    const pixel = WIDTH / columns;
    for (let row = 0, at = 0; row < rows; row++) {
      const w2 = TOP - (row + 0.5) * pixel;
      for (let column = 0; column < columns; column++, at += 4) {
        const w1 = LEFT + (column + 0.5) * pixel;
        const height = loss(w1, w2);
        const v = 2 * Math.log2(height / LEVEL);
        const band = clamp(Math.floor(v) + 1, 0, LEVELS);
        const slope = (2 / Math.LN2 / height) * Math.hypot(...gradient(w1, w2)) * pixel;
        const away = v < -0.5 ? 1 : Math.abs(v - Math.round(v)) / slope; // in pixels
        const drawn = 0.5 * clamp(0.5 + scale / 2 - away, 0, 1);
        const share = (0.6 * band) / LEVELS;
        for (let i = 0; i < 3; i++) {
          const fill = low[i] + share * (high[i] - low[i]);
          image.data[at + i] = fill + drawn * (line[i] - fill);
        }
        image.data[at + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }

  function begin(widget) {
    const part = (name) => widget.querySelector(`[data-part="${name}"]`);
    const [map, handle, said] = ["map", "start", "said"].map(part);
    const [rule, rate, momentum, steps] = ["rule", "rate", "momentum", "steps"].map(part);
    const own = {}; // each rule remembers its rate
    let start = [...START];

    for (const [name, { label }] of Object.entries(RULES)) rule.add(new Option(label, name));

    function put(element, [w1, w2]) {
      element.style.left = `${((w1 - LEFT) / WIDTH) * 100}%`;
      element.style.top = `${((TOP - w2) / HEIGHT) * 100}%`;
    }

    function show() {
      const { hyper, formula } = RULES[rule.value];
      const lr = rate_of(rate.valueAsNumber);
      const given = { lr, steps: steps.valueAsNumber, start };
      if ("momentum" in hyper) given.momentum = momentum.valueAsNumber;
      const found = path(rule.value, given);

      own[rule.value] = rate.value;
      momentum.closest("[data-part=needs-momentum]").hidden = !("momentum" in hyper);
      part("formula").textContent = formula;
      for (const [input, value] of [
        [rate, lr],
        [momentum, momentum.value],
        [steps, steps.value],
      ]) {
        input.setAttribute("aria-valuetext", value);
        input.parentElement.querySelector("[data-part=value]").textContent = value;
      }

      put(handle, start);
      const [w1, w2] = start.map((w) => number(w.toFixed(2)));
      handle.setAttribute("aria-valuetext", `w1 = ${w1}, w2 = ${w2}`);
      handle.setAttribute("aria-valuenow", start[0]);

      const places = found.points.map(
        ([x, y]) => `${((x - LEFT) * 100).toFixed(2)} ${((TOP - y) * 100).toFixed(2)}`,
      );
      const line = `M${places.join("L")}`;
      const dots = places.map((place) => `M${place}h0`).join("");
      for (const element of widget.querySelectorAll("[data-part=line]")) {
        element.setAttribute("d", line);
      }
      part("dots").setAttribute("d", dots);
      const last = found.points.length - 1;
      const end = found.points[last];
      put(part("end"), end);
      part("end").hidden = !end.every((w, i) => w === on_map(w, i));

      const result = outcome(found);
      const count = `${last} step${last === 1 ? "" : "s"}`;
      const J = found.losses[last].toPrecision(3);
      const [e1, e2] = end.map((w) => number(w.toFixed(2)));
      said.textContent =
        result === "diverged"
          ? `Diverged: after ${count} a weight is beyond ±${LIMIT}, and the loss is ${J}.`
          : `After ${count} the loss is ${J}, at (${e1}, ${e2}). ${SAID[result]}`;
      widget.dataset.outcome = result;
    }

    function choose() {
      rate.value = own[rule.value] ?? Math.log10(RULES[rule.value].hyper.lr);
      show();
    }

    function reset() {
      for (const name of Object.keys(own)) delete own[name];
      start = [...START];
      rule.value = "sgd";
      momentum.value = RULES.momentum.hyper.momentum;
      steps.value = 200;
      choose();
    }

    // Two decimals, so that what is shown is what is used.
    function move(w1, w2) {
      start = [w1, w2].map((w, i) => Math.round(on_map(w, i) * 100) / 100);
      show();
    }

    function move_to(event) {
      const box = map.getBoundingClientRect();
      const across = (event.clientX - box.left) / box.width;
      const down = (event.clientY - box.top) / box.height;
      move(LEFT + across * WIDTH, TOP - down * HEIGHT);
    }

    // A finger on the map scrolls the page; on the start point it moves that.
    map.addEventListener("pointerdown", (event) => {
      const mine = event.pointerType === "mouse" || handle.contains(event.target);
      if (!mine || event.button !== 0) return;
      event.preventDefault();
      handle.focus({ preventScroll: true });
      handle.setPointerCapture(event.pointerId);
      move_to(event);
    });
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) move_to(event);
    });
    map.addEventListener("click", (event) => {
      if (!handle.contains(event.target)) move_to(event);
    });

    const ARROWS = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, 1],
      ArrowDown: [0, -1],
    };
    handle.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const far = event.shiftKey ? 0.01 : 0.05;
      move(start[0] + far * arrow[0], start[1] + far * arrow[1]);
    });

    for (const input of [rate, momentum, steps]) input.addEventListener("input", show);
    rule.addEventListener("change", choose);
    part("reset").addEventListener("click", reset);

    for (const name of Object.keys(PLACES)) put(part(name), PLACES[name]);
    widget.hidden = false;
    reset();

    const terrain = () => draw_terrain(part("terrain"));
    new ResizeObserver(terrain).observe(map);
    new MutationObserver(terrain).observe(document.documentElement, {
      attributeFilter: ["data-theme"],
    });
  }

  if (typeof document !== "undefined") document.querySelectorAll(".tp-play").forEach(begin);
})();
