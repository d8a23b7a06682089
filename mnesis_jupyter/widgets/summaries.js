import { SAID, dotted, h, number, painter, percent, plural, s, section, tokens, turns, uid } from "./core.js";

const BAR = 58;
const LEVEL = 21;

// The map of the session: the messages turn by turn, and above each stretch of them the summary that stands for it.
export function summaries(root, feed) {
  const zoom = (label, words, act) => h("button", { type: "button", title: words, "aria-label": words, onclick: act }, label);
  const asTree = h("button", { type: "button", "aria-pressed": "false" }, "as a tree");
  const { node, body, note } = section("Session map",
    zoom("−", "Show more turns", () => scale(2)), zoom("+", "Show fewer turns", () => scale(0.5)), zoom("all", "Show all turns", () => feed.set("span", [])), asTree);
  const chart = s("svg", { "aria-hidden": "true" });
  const axis = h("div", { class: "mn-axis mn-mapaxis", role: "slider", tabindex: 0, "aria-label": "Turn", "aria-description": "Left and right change the turn, up and down choose a summary above it, Enter selects it" }, chart);
  const names = h("div", { class: "mn-gutter mn-names" });
  const tree = h("div", { class: "mn-tree", role: "tree", tabindex: 0, "aria-label": "Summaries", hidden: true });
  const map = h("div", { class: "mn-plot" }, names, axis);
  const key = h("div", { class: "mn-mapkey" },
    h("span", {}, h("i", { class: "mn-swatch mn-alive" }), "in the window"), h("span", {}, h("i", { class: "mn-swatch mn-gone" }), "not in it any more"), h("span", {}, h("i", { class: "mn-swatch mn-coming" }), "came later"));
  body.append(map, key, tree);
  root.append(node);

  let nodes = [];
  let covered = [];
  let chosen = -1;
  let drag = null;
  const read = () => {
    const all = feed.summaries;
    if (!all) return;
    nodes = all.id.map((id, at) => ({ id, at, ...Object.fromEntries(Object.entries(all).map(([name, column]) => [name, column[at]])) }));
  };
  const view = () => feed.facts?.view ?? Infinity;
  const state = (each) => (each.born > view() ? "coming" : each.died !== null && each.died <= view() ? "gone" : "alive");
  const isCovered = (turn) => covered.some(([first, last]) => turn >= first && turn <= last);
  const over = (turn) => nodes.filter((each) => each.first <= turn && each.last >= turn).sort((a, b) => a.depth - b.depth);

  const draw = () => {
    const { head, map: columns } = feed;
    if (!head || !columns || !feed.summaries) return;
    const [first, last] = feed.extent();
    const width = axis.clientWidth;
    const x = (turn) => ((turn - first) / (last - first)) * width;
    x.width = width;
    covered = nodes.filter((each) => state(each) === "alive").map((each) => [each.first, each.last]);
    const depth = Math.max(0, ...nodes.map((each) => each.depth));
    const levels = nodes.length ? depth + 1 : 0;
    const base = levels * LEVEL + 4 + BAR;
    chart.setAttribute("height", base + 18);
    names.style.height = `${base + 18}px`;
    const floor = Math.max(0, ...covered.map(([, end]) => end + 1));
    chart.replaceChildren(
      ...cursor(x, base), ...icicle(x, depth), ...bars(columns, x, base),
      s("line", { class: "mn-rule", x1: 0, x2: width, y1: base + 0.5, y2: base + 0.5 }), ...ticks(x, first, last, width, base), ...verbatim(x, floor, first, last, base));
    names.replaceChildren(
      ...Array.from({ length: levels }, (_, row) => h("span", { style: { top: `${row * LEVEL + 2}px` } }, depth - row ? `depth ${depth - row}` : "summaries")),
      h("span", { style: { top: `${base - 36}px` } }, "messages"), h("span", { style: { top: `${base + 2}px` } }, "turn"));
    const here = nodes.filter((each) => state(each) === "alive");
    note.textContent = nodes.length
      ? dotted(`${plural(here.length, "summary")} in this window`, floor ? `verbatim from turn ${number(floor)}` : "")
      : head.turns ? "no summaries: every turn stands in the window, word for word" : "nothing was said yet; a %%mnesis cell says something";
    key.hidden = !nodes.length;
    axis.setAttribute("aria-valuemin", 0);
    axis.setAttribute("aria-valuemax", head.turns);
    axis.setAttribute("aria-valuenow", feed.shown());
    axis.setAttribute("aria-valuetext", dotted(...words(Math.min(feed.shown(), head.turns - 1)), chosen >= 0 && `chosen: ${nodeWords(nodes[chosen])[0]}`));
  };
  const cursor = (x, base) => {
    if (feed.get("turn") === null) return [];
    const at = feed.shown();
    return [s("rect", { class: "mn-wash", x: x(at), y: 0, width: Math.max(1.5, x(at + 1) - x(at)), height: base + 4 }), s("line", { class: "mn-cursor", x1: x(at + 0.5), x2: x(at + 0.5), y1: 0, y2: base + 4 })];
  };
  const icicle = (x, depth) => {
    const selected = feed.get("selected");
    const narrow = { alive: "", gone: "", coming: "" };
    const wide = [];
    for (const each of nodes) {
      const [begin, end] = [Math.max(-4, x(each.first)), Math.min(x.width + 4, x(each.last + 1))];
      if (end < 0 || begin > x.width) continue;
      const [left, size, y] = [begin + 0.75, end - begin - 1.5, (depth - each.depth) * LEVEL + 1];
      const kind = state(each);
      if (size < 5 && (!each.id || each.id !== selected) && each.at !== chosen) {
        narrow[kind] += `M${left.toFixed(1)} ${y}h${Math.max(0.6, size).toFixed(1)}v${LEVEL - 3}h-${Math.max(0.6, size).toFixed(1)}z`;
        continue;
      }
      const label = each.first === each.last ? `${each.first}` : `${each.first}–${each.last}`;
      wide.push(
        s("rect", { class: `mn-node mn-${kind}${each.id && each.id === selected ? " mn-selected" : ""}${each.at === chosen ? " mn-chosen" : ""}`, x: left, y, width: Math.max(1, size), height: LEVEL - 3, rx: 3 }),
        size > label.length * 7 + 22 ? s("text", { class: `mn-nodetext mn-${kind}`, x: Math.max(0, left) + 6, y: y + 13 }, `Σ ${label}`) : size > 16 ? s("text", { class: `mn-nodetext mn-${kind}`, x: Math.max(0, left) + 4, y: y + 13 }, "Σ") : "");
    }
    return [...Object.entries(narrow).filter(([, d]) => d).map(([kind, d]) => s("path", { class: `mn-node mn-${kind}`, d })), ...wide];
  };
  const bars = (columns, x, base) => {
    const sums = columns.size.map((_, at) => columns.said.reduce((sum, kind) => sum + kind[at], 0));
    const sorted = [...sums].sort((a, b) => a - b);
    const top = Math.min(sorted.at(-1) ?? 1, 3 * (sorted[Math.floor(sorted.length * 0.9)] ?? 1)) || 1;
    const paths = {};
    const now = feed.shown();
    sums.forEach((sum, at) => {
      const turn = columns.first + at * columns.width;
      const [left, right] = [x(turn), x(turn + columns.width)];
      const gap = right - left > 4 ? 1 : right - left > 2 ? 0.5 : 0;
      const mode = turn > now ? "coming" : isCovered(turn + (columns.width - 1) / 2) ? "gone" : "alive";
      let y = base;
      columns.said.forEach((kind, place) => {
        const height = Math.min((kind[at] / top) * BAR, y - (base - BAR));
        if (height <= 0) return;
        y -= height;
        paths[`${SAID[place]} mn-${mode}`] = `${paths[`${SAID[place]} mn-${mode}`] ?? ""}M${(left + gap).toFixed(1)} ${y.toFixed(1)}h${Math.max(0.5, right - left - 2 * gap).toFixed(1)}v${height.toFixed(1)}h-${Math.max(0.5, right - left - 2 * gap).toFixed(1)}z`;
      });
      if (sum > top * 1.01) paths["cut"] = `${paths["cut"] ?? ""}M${left.toFixed(1)} ${base - BAR + 3}h${(right - left).toFixed(1)}`;
    });
    const failed = columns.bad.map((turn) => s("text", { class: "mn-bad", x: x(turn + 0.5), y: base - 3, "text-anchor": "middle" }, "✗"));
    return [...Object.entries(paths).map(([kind, d]) => s("path", { class: kind === "cut" ? "mn-cut" : `mn-said s-${kind}`, d })), ...failed];
  };
  const ticks = (x, first, last, width, base) => {
    const step = [1, 2, 5].flatMap((each) => [0, 1, 2, 3, 4, 5].map((zeros) => each * 10 ** zeros)).sort((a, b) => a - b).find((each) => x(first + each) > 64) ?? last;
    const made = [];
    for (let turn = Math.ceil(first / step) * step; turn < Math.min(last, feed.head.turns); turn += step) if (x(turn + 0.5) < width - 12) made.push(s("text", { x: Math.max(0, x(turn + 0.5)), y: base + 14, "text-anchor": x(turn + 0.5) < 12 ? "start" : "middle" }, number(turn)));
    return made;
  };
  const verbatim = (x, floor, first, last, base) =>
    floor > first && floor < last ? [s("line", { class: "mn-verbatim", x1: x(floor), x2: x(floor), y1: base - BAR - 4, y2: base })] : [];

  // -- what is under the pointer --
  const place = (event) => {
    const box = axis.getBoundingClientRect();
    const [first, last] = feed.extent();
    const turn = first + ((event.clientX - box.left) / box.width) * (last - first);
    const depth = Math.max(0, ...nodes.map((each) => each.depth));
    const row = Math.floor((event.clientY - box.top) / LEVEL);
    const level = depth - row;
    const [now] = nodes.filter((each) => nodes.length && each.depth === level && each.first <= turn && each.last + 1 > turn);
    return { turn: Math.max(0, Math.min(Math.floor(turn), (feed.head?.turns ?? 1) - 1)), exact: turn, summary: row <= depth ? now : undefined };
  };
  const words = (turn) => {
    const { map: columns, head } = feed;
    if (turn < 0 || !columns || !head) return ["nothing was said yet"];
    const at = Math.floor((turn - columns.first) / columns.width);
    const last = Math.min(turn + columns.width - 1, head.turns - 1);
    const said = SAID.map((kind, place) => columns.said[place][at] && `${kind} ${number(columns.said[place][at])}`).filter(Boolean);
    const above = over(turn).find((each) => state(each) === "alive");
    const now = turn > feed.shown() ? "not said yet at this turn" : above ? `covered by the summary of ${turns(above.first, above.last)}` : "stands in the window, word for word";
    return [columns.width > 1 ? turns(Math.floor(turn / columns.width) * columns.width, last) : `turn ${number(turn)}`, `${dotted(...said)} tokens`, now];
  };
  const nodeWords = (each) => [
    `${each.depth ? `condensed, depth ${each.depth}` : "leaf"} · ${turns(each.first, each.last)} · level ${each.level}`,
    `${number(each.source_tokens)} → ${tokens(each.tokens)}, ${percent(each.source_tokens - each.tokens, each.source_tokens)} saved`,
    each.lost ? `✗ ${plural(each.lost, "detail")} not in the text any more` : "✓ nothing of note is missing",
    { alive: "stands in this window", gone: "not in this window any more", coming: "made later" }[state(each)],
  ];
  const scale = (factor, around) => {
    const end = feed.head?.turns ?? 1;
    const [first, last] = feed.extent();
    const size = Math.max(8, Math.round((last - first) * factor));
    if (size >= end) return feed.set("span", []);
    const middle = around ?? (feed.get("turn") ?? (last + first) / 2);
    const begin = Math.max(0, Math.min(end - size, Math.round(middle - ((middle - first) / (last - first)) * size)));
    feed.set("span", [begin, begin + size]);
  };
  axis.addEventListener("pointermove", (event) => {
    const { turn, summary, exact } = place(event);
    if (drag) {
      drag.to = exact;
      return brush();
    }
    feed.tip.show(event, ...(summary ? nodeWords(summary) : words(turn)));
  });
  axis.addEventListener("pointerleave", () => feed.tip.hide());
  axis.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    drag = { from: place(event).exact, to: place(event).exact, x: event.clientX };
    axis.setPointerCapture(event.pointerId);
  });
  axis.addEventListener("pointerup", (event) => {
    const { from, x: began } = drag ?? {};
    drag = null;
    chart.querySelector(".mn-brush")?.remove();
    if (Math.abs(event.clientX - (began ?? event.clientX)) > 6) return feed.zoom(from, place(event).exact);
    const { turn, summary } = place(event);
    if (summary) pick(summary);
    else feed.go(turn);
  });
  axis.addEventListener("dblclick", () => feed.set("span", []));
  axis.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    scale(event.deltaY > 0 ? 1.25 : 0.8, place(event).exact);
  }, { passive: false });
  const brush = () => {
    const [first, last] = feed.extent();
    const at = (turn) => ((turn - first) / (last - first)) * axis.clientWidth;
    const [a, b] = [drag.from, drag.to].map(at).sort((one, two) => one - two);
    chart.querySelector(".mn-brush")?.remove();
    chart.append(s("rect", { class: "mn-brush", x: a, y: 0, width: b - a, height: chart.clientHeight - 16 }));
  };
  const pick = (summary) => (summary.id ? feed.set("selected", summary.id) : scale(0.25, (summary.first + summary.last + 1) / 2));
  const climb = (step) => {
    const above = over(Math.min(feed.shown(), (feed.head?.turns ?? 1) - 1));
    const at = above.findIndex((each) => each.at === chosen) + step;
    chosen = at < 0 || !above.length ? -1 : above[Math.min(at, above.length - 1)].at;
    paint();
  };
  const keys = {
    ArrowLeft: (event) => feed.go(feed.shown() - (event.shiftKey ? 10 : 1)), ArrowRight: (event) => feed.go(feed.shown() + (event.shiftKey ? 10 : 1)),
    Home: () => feed.go(0), End: () => feed.set("turn", null), ArrowUp: () => climb(1), ArrowDown: () => climb(-1),
    Enter: () => chosen >= 0 && pick(nodes[chosen]), "+": () => scale(0.5), "-": () => scale(2), 0: () => feed.set("span", []),
  };
  axis.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key](event);
  });

  const paint = painter(body, draw);
  const branch = treeOf(tree, feed);
  asTree.addEventListener("click", () => {
    tree.hidden = !tree.hidden;
    asTree.setAttribute("aria-pressed", String(!tree.hidden));
    branch();
  });
  feed.on("summaries", () => (read(), paint(), branch()));
  ["head", "map", "facts", "turn", "selected", "span"].forEach((name) => feed.on(name, paint));
  feed.on("facts", branch);
}

// The same as a tree: what stands in the window at the top, below each what went into it, down to the messages.
function treeOf(tree, feed) {
  const name = uid();
  const open = new Set();
  const under = new Map();
  let lines = [];
  let active = 0;
  let roots = [];
  const load = async () => {
    if (tree.hidden || !feed.facts) return;
    roots = (await feed.ask("below", { view: feed.facts.view })).rows.sort((a, b) => a.first - b.first);
    draw();
  };
  const draw = () => {
    if (tree.hidden) return;
    lines = [];
    const add = (each, level) => {
      lines.push({ each, level, id: each.id, can: true });
      if (!open.has(each.id)) return;
      for (const other of under.get(each.id) ?? [])
        if (each.depth) add(other, level + 1);
        else lines.push({ item: other, level: level + 1, id: other.id });
    };
    roots.forEach((each) => add(each, 1));
    active = Math.max(0, Math.min(active, lines.length - 1));
    tree.replaceChildren(...(lines.length ? lines.map(line) : [h("p", { class: "mn-empty" }, "No summary stands in this window.")]));
    if (lines.length) tree.setAttribute("aria-activedescendant", `${name}-${active}`);
  };
  const line = ({ each, item, level, id, can }, at) => {
    const props = { id: `${name}-${at}`, role: "treeitem", "aria-level": level, class: `mn-branch${at === active ? " mn-active" : ""}`, "aria-selected": String(feed.get("selected") === id), style: { "padding-left": `${8 + 20 * (level - 1)}px` } };
    if (can) props["aria-expanded"] = String(open.has(id));
    const made = h("div", props,
      each ? [h("span", { class: "mn-twist", "aria-hidden": "true" }, open.has(id) ? "▾" : "▸"), h("b", {}, `Σ ${turns(each.first, each.last)}`),
        h("span", { class: "mn-dim" }, dotted(each.depth ? `${each.sources} summaries, depth ${each.depth}` : plural(each.sources, "message"), `level ${each.level}`, `${number(each.source_tokens)} → ${tokens(each.tokens)}`, each.lost ? `✗ ${plural(each.lost, "detail")} lost` : "✓ nothing of note lost"))]
        : [h("span", { class: "mn-when" }, `turn ${number(item.turn)}`), h("span", {}, item.role), h("bdi", { class: "mn-line-text" }, item.text.slice(0, 140))]);
    made.addEventListener("click", () => ((active = at), can ? toggle(at) : choose(at)));
    return made;
  };
  const toggle = async (at, to) => {
    const { each, id, can } = lines[at] ?? {};
    if (!can || open.has(id) === to) return;
    if (open.has(id)) open.delete(id);
    else open.add(id);
    if (!under.has(id)) {
      under.set(id, []);
      under.set(id, each.depth ? (await feed.ask("below", { id })).rows : (await feed.ask("expand", { id })).items);
    }
    draw();
  };
  const choose = (at) => lines[at] && feed.set("selected", lines[at].id);
  const up = () => {
    for (let at = active; at >= 0; at--) if (lines[at].level < lines[active].level) return void (active = at);
  };
  const keys = {
    ArrowDown: () => (active = Math.min(lines.length - 1, active + 1)), ArrowUp: () => (active = Math.max(0, active - 1)),
    ArrowRight: () => toggle(active, true), ArrowLeft: () => (lines[active]?.can && open.has(lines[active].id) ? toggle(active, false) : up()),
    Home: () => (active = 0), End: () => (active = lines.length - 1), Enter: () => choose(active), " ": () => toggle(active),
  };
  tree.addEventListener("keydown", (event) => {
    if (!keys[event.key] || !lines.length) return;
    event.preventDefault();
    keys[event.key]();
    draw();
    tree.querySelector(".mn-active")?.scrollIntoView({ block: "nearest" });
  });
  feed.on("selected", draw);
  return load;
}
