"use strict";
// The report as a page: modules, nodes and code, linked both ways.  All text of the model
// goes through textContent; nothing is fetched.
(() => {
  const at = (id) => document.getElementById(id);
  const report = JSON.parse(at("report").textContent);
  const compiled = JSON.parse(at("compiled").textContent);
  const { nodes, modules } = report;

  function make(tag, name, text, ...children) {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text) element.textContent = text;
    element.append(...children);
    return element;
  }

  // ---- figures ----------------------------------------------------------------------

  function short(n, unit = "") {
    const steps = ["", "k", "M", "G", "T", "P"];
    let step = 0;
    for (; n >= 1000 && step < steps.length - 1; step++) n /= 1000;
    const digits = step === 0 ? 0 : n < 10 ? 2 : n < 100 ? 1 : 0;
    const letter = unit === "B" && steps[step] === "k" ? "k" : steps[step];
    return `${n.toFixed(digits)}${letter || unit ? " " : ""}${letter}${unit}`;
  }
  const METRICS = {
    param_bytes: (n) => short(n, "B"),
    macs: (n) => short(n),
    activation_bytes: (n) => short(n, "B"),
    nodes: (n) => short(n),
  };
  const type = (value) =>
    value.kind === "tensor"
      ? `${value.dtype ?? "?"}[${value.shape ? value.shape.join(", ") : "..."}]`
      : value.kind;

  // ---- indices ----------------------------------------------------------------------

  const children = modules.map(() => []);
  modules.forEach((module, i) => {
    if (module.parent !== null) children[module.parent].push(i);
  });
  const own = modules.map(() => []); // nodes that are in no module inside
  nodes.forEach((node, i) => own[node.module_index]?.push(i));

  const map = compiled.map ?? { nodes: [], functions: [], params: [] };
  const linesOf = new Map(map.nodes.map((entry) => [entry.node, entry.lines]));
  const nodesOf = new Map(); // line -> nodes
  for (const { node, lines } of map.nodes)
    for (const [first, last] of lines)
      for (let line = first; line <= last; line++) {
        if (!nodesOf.has(line)) nodesOf.set(line, []);
        nodesOf.get(line).push(node);
      }

  function nodesBelow(i) {
    const all = [];
    const open = [i];
    while (open.length) {
      const k = open.pop();
      for (const node of own[k]) all.push(node);
      open.push(...children[k]);
    }
    return all.sort((a, b) => a - b);
  }

  // ---- header -----------------------------------------------------------------------

  function header() {
    const { model, statistics, work } = report;
    const opsets = Object.entries(model.opsets).map(([k, v]) => `${k} ${v}`);
    at("summary").textContent = [
      [model.producer, model.producer_version].filter(Boolean).join(" "),
      opsets.join(", "),
      `${statistics.nodes} nodes`,
      `${short(statistics.param_elements)} parameters, ${short(statistics.param_bytes, "B")}`,
      work && `${short(work.macs)} MACs`,
      work && `${short(work.activation_bytes, "B")} activations`,
    ]
      .filter(Boolean)
      .join(" · ");
    for (const [title, values] of [
      ["Input", report.inputs],
      ["Output", report.outputs],
    ])
      for (const value of values)
        at("facts").append(
          make("dt", "", title),
          make("dd", "", `${value.name}: ${type(value)}`),
        );
    const assumed = Object.entries(work?.assumed ?? {});
    if (assumed.length)
      at("facts").append(
        make("dt", "", "Work at"),
        make("dd", "", assumed.map(([k, v]) => `${k} = ${v}`).join(", ")),
      );
    for (const note of report.notes) at("notes").append(make("li", "", note));
    if (report.unsupported.length)
      at("unsupported").textContent =
        "Operators that do not compile: " +
        report.unsupported.map((u) => `${u.op} (${u.domain}) × ${u.count}`).join(", ");
  }

  // ---- selection --------------------------------------------------------------------

  const LIST_STEP = 200;
  let shown = [];

  function light(indices, scroll) {
    for (const line of document.querySelectorAll(".code.lit"))
      line.classList.remove("lit");
    const lit = new Set();
    for (const i of indices)
      for (const [first, last] of linesOf.get(i) ?? [])
        for (let line = first; line <= last; line++) lit.add(line);
    for (const line of lit) codeLines[line - 1]?.classList.add("lit");
    if (lit.size && scroll)
      codeLines[Math.min(...lit) - 1]?.scrollIntoView({ block: "center" });
    at("hint").textContent = !indices.length
      ? ""
      : lit.size
        ? `${lit.size} line${lit.size > 1 ? "s" : ""} for ${indices.length} node${indices.length > 1 ? "s" : ""}`
        : "No line is left of this: it was folded away when the model was compiled.";
  }

  function nodeButton(i) {
    const node = nodes[i];
    const button = make(
      "button",
      "",
      "",
      make("strong", "", node.op),
      ` ${node.name || node.outputs[0] || `#${i}`} `,
      make("span", "quiet", node.output_types.filter(Boolean).map(type).join(", ")),
    );
    button.type = "button";
    if (compiled.source && !linesOf.has(i)) button.classList.add("gone");
    button.dataset.node = i;
    button.setAttribute("aria-pressed", "false");
    return make("li", "", "", button);
  }

  function more() {
    const list = at("list");
    const from = list.querySelectorAll("[data-node]").length;
    list.querySelector(".more")?.parentElement.remove();
    list.append(...shown.slice(from, from + LIST_STEP).map(nodeButton));
    if (shown.length > from + LIST_STEP) {
      const button = make("button", "more", `${shown.length - from - LIST_STEP} more`);
      button.type = "button";
      button.addEventListener("click", more);
      list.append(make("li", "", "", button));
    }
  }

  function list(title, indices) {
    shown = indices;
    at("list-title").textContent = `${title} (${indices.length})`;
    at("list").replaceChildren();
    more();
  }

  at("list").addEventListener("click", (event) => {
    const button = event.target.closest("[data-node]");
    if (!button) return;
    for (const other of at("list").querySelectorAll('[aria-pressed="true"]'))
      other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", "true");
    light([Number(button.dataset.node)], true);
  });

  // ---- the tree ---------------------------------------------------------------------

  let metric = "param_bytes";

  // Siblings of one kind side by side are one entry, which opens to them.
  function entriesOf(i) {
    const entries = [];
    for (const k of children[i]) {
      const last = entries.at(-1);
      if (last && modules[last[0]].kind === modules[k].kind) last.push(k);
      else entries.push([k]);
    }
    return entries.flatMap((entry) =>
      entry.length > 2 ? [entry] : entry.map((k) => [k]),
    );
  }

  const leafOf = (i) => {
    const { path, parent } = modules[i];
    const around = parent === null ? "" : modules[parent].path;
    return path && around && path.startsWith(`${around}.`)
      ? path.slice(around.length + 1)
      : path || report.model.name || "model";
  };

  function figures(item) {
    const sum = (key) => item.entry.reduce((n, i) => n + (modules[i][key] || 0), 0);
    const all = modules[0][metric] || 0;
    item.element.querySelector(".figure").textContent = METRICS[metric](sum(metric));
    item.element
      .querySelector(".share")
      .style.setProperty("--part", `${all ? (100 * sum(metric)) / all : 0}%`);
  }

  const items = new Map(); // element -> item

  function treeItem(entry, level) {
    const [first] = entry;
    const many = entry.length > 1;
    const inside = many ? entry.map((i) => [i]) : entriesOf(first);
    const label = make("span", "label", "");
    label.append(
      make("span", "", many ? `${leafOf(first)} … ${leafOf(entry.at(-1))}` : leafOf(first)),
      make("span", "class", ` ${many ? `${entry.length} × ` : ""}${modules[first].class}`),
    );
    label.title = many ? "" : modules[first].path;
    const row = make(
      "div",
      "row",
      "",
      make("span", "twist", inside.length ? "▸" : ""),
      label,
      make("span", "figure"),
      make("span", "share"),
    );
    const element = make("div", "", "", row);
    element.setAttribute("role", "treeitem");
    element.setAttribute("aria-level", level);
    element.setAttribute("aria-selected", "false");
    if (inside.length) element.setAttribute("aria-expanded", "false");
    element.tabIndex = -1;
    const item = { element, entry, inside, level };
    items.set(element, item);
    figures(item);
    return element;
  }

  function open(item, wanted) {
    const { element, inside, level } = item;
    if (!inside.length || (element.getAttribute("aria-expanded") === "true") === wanted)
      return;
    element.setAttribute("aria-expanded", wanted);
    element.querySelector(".twist").textContent = wanted ? "▾" : "▸";
    if (!wanted) {
      for (const below of element.querySelectorAll('[role="treeitem"]')) items.delete(below);
      element.lastElementChild.remove();
      return;
    }
    const group = make("div", "inside", "", ...inside.map((e) => treeItem(e, level + 1)));
    group.setAttribute("role", "group");
    element.append(group);
  }

  function focus(element) {
    for (const other of at("tree").querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
    element.tabIndex = 0;
    element.focus();
  }

  function choose(element) {
    for (const other of at("tree").querySelectorAll('[aria-selected="true"]'))
      other.setAttribute("aria-selected", "false");
    element.setAttribute("aria-selected", "true");
    const { entry } = items.get(element);
    chosenLine = 0;
    const all = entry.flatMap(nodesBelow);
    list(`Nodes of ${modules[entry[0]].path || leafOf(entry[0])}`, all);
    light(all, true);
  }

  function onTreeKey(event) {
    const element = event.target.closest('[role="treeitem"]');
    if (!element) return;
    const item = items.get(element);
    const visible = [...at("tree").querySelectorAll('[role="treeitem"]')];
    const place = visible.indexOf(element);
    const expanded = element.getAttribute("aria-expanded");
    const keys = {
      ArrowDown: () => visible[place + 1] && focus(visible[place + 1]),
      ArrowUp: () => visible[place - 1] && focus(visible[place - 1]),
      Home: () => focus(visible[0]),
      End: () => focus(visible.at(-1)),
      ArrowRight: () =>
        expanded === "false" ? open(item, true) : expanded && focus(visible[place + 1]),
      ArrowLeft: () => {
        const around = element.parentElement.closest('[role="treeitem"]');
        if (expanded === "true") open(item, false);
        else if (around) focus(around);
      },
      Enter: () => choose(element),
      " ": () => choose(element),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }

  function tree() {
    const root = treeItem([0], 1);
    root.tabIndex = 0;
    at("tree").append(root);
    open(items.get(root), true);
    at("tree").addEventListener("keydown", onTreeKey);
    at("tree").addEventListener("click", (event) => {
      const element = event.target.closest('[role="treeitem"]');
      if (!element) return;
      focus(element);
      const item = items.get(element);
      if (event.target.closest(".twist"))
        open(item, element.getAttribute("aria-expanded") === "false");
      else {
        open(item, true);
        choose(element);
      }
    });
    at("metric").addEventListener("change", (event) => {
      metric = event.target.value;
      for (const item of items.values()) figures(item);
    });
  }

  // ---- code -------------------------------------------------------------------------

  const TOKEN =
    /(#.*)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\b(\d[\w.]*)|\b(and|as|assert|break|class|continue|def|elif|else|except|finally|for|from|if|import|in|is|lambda|not|or|pass|raise|return|try|while|with|yield|None|True|False)\b|([A-Za-z_]\w*)(?=\()/g;
  const CLASSES = ["comment", "string", "number", "keyword", "called"];

  function tokens(line, text) {
    let end = 0;
    for (const match of text.matchAll(TOKEN)) {
      line.append(text.slice(end, match.index));
      const kind = CLASSES[match.slice(1).findIndex((group) => group !== undefined)];
      line.append(make("span", kind, match[0]));
      end = match.index + match[0].length;
    }
    line.append(text.slice(end));
  }

  const LINE_HEIGHT = 19; // as page.css has it
  const codeLines = [];
  let chosenLine = 0;

  function code() {
    const PART = 200;
    if (!compiled.source) {
      at("code").append(make("pre", "", compiled.messages || "There is no code."));
      return;
    }
    let docstring = false;
    const text = compiled.source.replace(/\n$/, "").split("\n");
    for (let first = 0; first < text.length; first += PART) {
      const part = make("div", "part");
      text.slice(first, first + PART).forEach((content, k) => {
        const no = first + k + 1;
        const body = make("span", "");
        const line = make("div", "code", "", make("span", "no", String(no)), body);
        const quotes = content.split('"""').length - 1;
        if (docstring || quotes) body.append(make("span", "string", content));
        else tokens(body, content);
        if (quotes % 2) docstring = !docstring;
        line.dataset.line = no;
        if (nodesOf.has(no)) line.classList.add("linked");
        codeLines.push(line);
        part.append(line);
      });
      part.style.containIntrinsicSize = `auto ${LINE_HEIGHT * part.childElementCount}px`;
      at("code").append(part);
    }
    at("code").addEventListener("click", (event) => {
      const line = event.target.closest(".linked");
      if (line) chooseLine(Number(line.dataset.line));
    });
    at("code").addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      let no = chosenLine + step;
      while (no >= 1 && no <= codeLines.length && !nodesOf.has(no)) no += step;
      if (nodesOf.has(no)) chooseLine(no, true);
    });
  }

  function chooseLine(no, scroll) {
    chosenLine = no;
    const all = [...new Set(nodesOf.get(no))].sort((a, b) => a - b);
    list(`Nodes of line ${no}`, all);
    light(all, false);
    if (scroll) codeLines[no - 1].scrollIntoView({ block: "nearest" });
  }

  // ---- search -----------------------------------------------------------------------

  const textOf = nodes.map((node) =>
    [
      node.op,
      node.name,
      node.module,
      ...node.outputs,
      ...node.param_keys,
      ...node.output_types.filter(Boolean).map(type),
    ]
      .join("\n")
      .toLowerCase(),
  );

  function search(query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const found = nodes
      .map((_, i) => i)
      .filter((i) => words.every((word) => textOf[i].includes(word)));
    list(words.length ? `Nodes with “${query.trim()}”` : "Nodes", found);
    light(words.length ? found : [], false);
  }

  function operators() {
    for (const [op, count] of Object.entries(report.statistics.ops)) {
      const button = make("button", "", `${op} ${count}`);
      button.type = "button";
      button.addEventListener("click", () => {
        const name = op.split("::").at(-1);
        const found = nodes.map((_, i) => i).filter((i) => nodes[i].op === name);
        list(`Nodes: ${op}`, found);
        light(found, true);
      });
      at("operators").append(make("li", "", "", button));
    }
  }

  function theme() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const set = (on) => {
      document.documentElement.dataset.theme = on ? "dark" : "light";
      at("theme").textContent = on ? "Light" : "Dark";
    };
    set(dark.matches);
    dark.addEventListener("change", () => set(dark.matches));
    at("theme").addEventListener("click", () =>
      set(document.documentElement.dataset.theme === "light"),
    );
  }

  // The helpers above the model's own code can wait.
  function showModel() {
    const starts = map.functions.map((f) => f.lines[0]);
    const first = Math.min(...starts, ...nodesOf.keys());
    if (Number.isFinite(first)) at("code").scrollTop = LINE_HEIGHT * (first - 2);
  }

  theme();
  header();
  code();
  tree();
  operators();
  list(
    "Nodes",
    nodes.map((_, i) => i),
  );
  showModel();
  let timer = 0;
  at("search").addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => search(event.target.value), 120);
  });
})();
