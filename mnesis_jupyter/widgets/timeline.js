import { dotted, h, number, painter, plural, s, section } from "./core.js";

const LANES = {
  turns: "turns", tools: "tool calls", compaction: "compaction", pruning: "pruning", cache: "cache breaks", retries: "retries", errors: "errors", operators: "operators",
};
const GLYPHS = { turns: "", tools: "⚙", compaction: "Σ", pruning: "✂", cache: "⌁", retries: "↻", errors: "✗", operators: "∥" };
const LANE = 20;
const MOST = 800;

// What happened, a lane for each kind of thing, over the turns of the map or over time.
export function timeline(root, feed) {
  const byTurn = h("button", { type: "button", "aria-pressed": "true" }, "by turn");
  const byTime = h("button", { type: "button", "aria-pressed": "false" }, "by time");
  const chips = h("span", { class: "mn-chips", role: "group", "aria-label": "Lanes" });
  const { node, body, note } = section("Timeline", chips, byTurn, byTime);
  const chart = s("svg", { "aria-hidden": "true" });
  const names = h("div", { class: "mn-gutter mn-names" });
  const axis = h("div", { class: "mn-axis mn-lanes", role: "slider", tabindex: 0, "aria-label": "Events", "aria-description": "Left and right go from event to event, Enter shows the window of its turn" }, chart);
  body.append(h("div", { class: "mn-plot" }, names, axis));
  root.append(node);

  let kind = "turn";
  let data = null;
  let span = [];
  let active = -1;
  let drag = null;
  const hidden = new Set();

  const load = async () => {
    const wanted = kind === "turn" ? feed.get("span") ?? [] : span;
    const answer = await feed.ask("lanes", { axis: kind, span: wanted }).catch(() => null);
    if (!answer || answer.axis !== kind) return;
    data = answer;
    buttons();
    paint();
  };
  const there = () => Object.keys(LANES).filter((lane) => data?.lanes[lane].length);
  const shown = () => there().filter((lane) => !hidden.has(lane));
  const buttons = () =>
    chips.replaceChildren(...there().map((lane) =>
      h("button", { type: "button", class: "mn-chip", "aria-pressed": String(!hidden.has(lane)), onclick: () => (hidden.has(lane) ? hidden.delete(lane) : hidden.add(lane), buttons(), paint()) },
        `${GLYPHS[lane]} ${LANES[lane]} ${number(data.lanes[lane].reduce((sum, piece) => sum + piece[2], 0))}`.trim())));
  const extent = () => (kind === "turn" ? feed.extent() : data.span[1] > data.span[0] ? data.span : [data.span[0], data.span[0] + 1000]);
  const pieces = () => shown().flatMap((lane) => data.lanes[lane].map((piece) => [lane, ...piece])).filter(([, begin, end]) => end >= extent()[0] && begin <= extent()[1]).sort((a, b) => a[1] - b[1]);

  const draw = () => {
    if (!data || !feed.head) return;
    const [first, last] = extent();
    const width = axis.clientWidth;
    const x = (place) => ((place - first) / (last - first)) * width;
    const lanes = shown();
    body.hidden = !there().length;
    const base = Math.max(1, lanes.length) * LANE + 2;
    const foot = kind === "turn" ? 0 : 18;
    chart.setAttribute("height", base + foot);
    names.style.height = `${base + foot}px`;
    names.replaceChildren(...lanes.map((lane, row) => h("span", { style: { top: `${row * LANE + 2}px` } }, LANES[lane])));
    const current = pieces()[active];
    const marks = lanes.flatMap((lane, row) => {
      const [y, wide] = [row * LANE + 4, []];
      let path = "";
      for (const piece of data.lanes[lane]) {
        const [begin, end] = piece;
        if (end < first || begin > last) continue;
        const [left, size] = [x(begin), Math.max(2, x(end) - x(begin))];
        if (current && current[0] === lane && current[1] === begin) wide.push(s("rect", { class: "mn-here", x: left - 2, y: y - 2, width: size + 4, height: 16, rx: 3 }));
        if (lane === "cache") path += `M${left.toFixed(1)} ${y - 3}v18`;
        else path += `M${left.toFixed(1)} ${y}h${size.toFixed(1)}v12h-${size.toFixed(1)}z`;
        if (size > 15 && GLYPHS[lane] && lane !== "cache") wide.push(s("text", { class: "mn-glyph", x: left + size / 2, y: y + 10, "text-anchor": "middle" }, GLYPHS[lane]));
      }
      return [s("line", { class: "mn-lane", x1: 0, x2: width, y1: row * LANE + 20.5, y2: row * LANE + 20.5 }), s("path", { class: `mn-event e-${lane}`, d: path }), ...wide];
    });
    chart.replaceChildren(...at(x, base), ...marks, ...ticks(x, first, last, base));
    const missing = Object.keys(LANES).filter((lane) => !data.lanes[lane].length);
    note.textContent = there().length ? (missing.length ? `no ${missing.map((lane) => LANES[lane]).join(", ")}` : "") : "nothing has happened yet";
    axis.setAttribute("aria-valuemin", 0);
    axis.setAttribute("aria-valuemax", Math.max(0, pieces().length - 1));
    axis.setAttribute("aria-valuenow", Math.max(0, active));
    axis.setAttribute("aria-valuetext", current ? dotted(...words(current)) : `${plural(pieces().length, "mark")}`);
  };
  const at = (x, base) => {
    if (feed.get("turn") === null) return [];
    const turn = feed.shown();
    const [from, to] = kind === "turn" ? [turn, turn + 1] : timesOf(turn);
    if (from === null) return [];
    return [s("rect", { class: "mn-wash", x: x(from), y: 0, width: Math.max(1.5, x(to) - x(from)), height: base }), kind === "turn" && s("line", { class: "mn-cursor", x1: x(turn + 0.5), x2: x(turn + 0.5), y1: 0, y2: base })].filter(Boolean);
  };
  const timesOf = () => {
    const { facts } = feed;
    if (!facts?.at) return [null, null];
    const begin = facts.at - data.origin;
    return [begin, begin + 1000 * (facts.seconds ?? 0)];
  };
  const ticks = (x, first, last, base) => {
    if (kind === "turn") return [];
    const day = last - first > 36e5 * 20;
    const clock = (ms) => new Date(data.origin + ms).toLocaleString([], { ...(day ? { month: "short", day: "numeric" } : {}), hour: "2-digit", minute: "2-digit", ...(last - first < 6e5 ? { second: "2-digit" } : {}) });
    return [0, 0.25, 0.5, 0.75, 1].map((share) => s("text", { x: x(first + share * (last - first)), y: base + 14, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle" }, clock(first + share * (last - first))));
  };
  const seconds = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : ms < 12e4 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 6e4).toFixed(1)} min`);
  const words = ([lane, begin, end, count, told]) => [
    count > 1 ? `${number(count)} × ${LANES[lane]}` : `${GLYPHS[lane]} ${LANES[lane]}`.trim(),
    count === 1 && told,
    kind === "turn" ? (Math.floor(end - 0.01) > Math.floor(begin) ? `turns ${number(Math.floor(begin))}–${number(Math.floor(end - 0.01))}` : `turn ${number(Math.floor(begin))}`) : end - begin >= 1 ? seconds(end - begin) : "",
  ];
  const under = (event) => {
    const box = axis.getBoundingClientRect();
    const [first, last] = extent();
    const place = first + ((event.clientX - box.left) / box.width) * (last - first);
    const lane = shown()[Math.floor((event.clientY - box.top) / LANE)];
    const near = ((last - first) / box.width) * 4;
    const found = lane && data.lanes[lane].filter(([begin, end]) => begin - near <= place && end + near >= place).sort((a, b) => Math.abs(a[0] + a[1] - 2 * place) - Math.abs(b[0] + b[1] - 2 * place))[0];
    return { place, piece: found && [lane, ...found] };
  };
  const go = (piece) => {
    if (!piece) return;
    if (kind === "turn") feed.set("turn", Math.max(0, Math.min(feed.head.turns - 1, Math.floor(piece[1]))));
    else {
      const turn = /turn ([\d,]+)/.exec(piece[4] ?? "");
      if (turn) feed.set("turn", Number(turn[1].replaceAll(",", "")));
    }
  };
  axis.addEventListener("pointermove", (event) => {
    if (!data || drag) return;
    const { piece } = under(event);
    if (piece) feed.tip.show(event, ...words(piece));
    else feed.tip.hide();
  });
  axis.addEventListener("pointerleave", () => feed.tip.hide());
  axis.addEventListener("pointerdown", (event) => {
    if (event.button || !data) return;
    drag = { x: event.clientX, from: under(event).place };
    axis.setPointerCapture(event.pointerId);
  });
  axis.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { x: began, from } = drag;
    drag = null;
    if (Math.abs(event.clientX - began) < 7) return go(under(event).piece ?? (kind === "turn" ? ["turns", under(event).place] : undefined));
    if (kind === "turn") return feed.zoom(from, under(event).place);
    span = [from, under(event).place].sort((one, two) => one - two);
    load();
  });
  axis.addEventListener("dblclick", () => (kind === "turn" ? feed.set("span", []) : ((span = []), load())));
  const keys = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
  axis.addEventListener("keydown", (event) => {
    if (!data) return;
    if (event.key === "Enter") go(pieces()[active]);
    else if (event.key in keys) active = Math.max(0, Math.min(pieces().length - 1, active + keys[event.key]));
    else return;
    event.preventDefault();
    paint();
  });
  const choose = (name) => {
    kind = name;
    active = -1;
    data = null;
    byTurn.setAttribute("aria-pressed", String(name === "turn"));
    byTime.setAttribute("aria-pressed", String(name === "time"));
    load();
  };
  byTurn.addEventListener("click", () => choose("turn"));
  byTime.addEventListener("click", () => choose("time"));

  const paint = painter(node, draw);
  feed.on("map", () => (data ? paint() : load()));
  feed.on("span", load);
  feed.on("news", ({ marks }) => {
    if (!data) return;
    if (marks.some(([lane]) => lane === "operators")) return void load(); // a run that ends takes the place of its beginning
    for (const [lane, fromTurn, toTurn, fromMs, toMs, told] of marks) data.lanes[lane].push(kind === "turn" ? [fromTurn, toTurn, 1, told] : [fromMs, toMs, 1, told]);
    if (kind === "time" && !span.length) data.span[1] = Math.max(data.span[1], ...marks.map((mark) => mark[4]));
    if (Object.values(data.lanes).some((pieces) => pieces.length > MOST)) return void load(); // the kernel joins those that touch
    if (marks.length) buttons();
    paint();
  });
  ["turn", "facts"].forEach((name) => feed.on(name, paint));
}
