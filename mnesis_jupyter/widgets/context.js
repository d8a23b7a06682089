import { KINDS, copyButton, dotted, h, number, painter, percent, plural, section, short, tokens, turns, uid } from "./core.js";

const ROW = 27;
const PAGE = 200;
const STAND_INS = { pruned: "✂ pruned", excerpt: "✂ excerpt" };
const SIGNS = { added: "+", restored: "+", removed: "−", summarised: "−", pruned: "~", changed: "~" };
const STATES = {
  verbatim: "stands in the window now",
  excerpt: "stands in the window now as an excerpt",
  pruned: "its output was pruned from the window",
  covered: "is covered by a summary now",
  partial: "is a partial reply, which is never sent",
};
const keyOf = (row) => row[2] + (row[6] ? "#result" : "");

// The window item by item, as a list that is as long as it likes: only the rows in sight are elements.
export function context(root, feed) {
  const search = h("input", { type: "search", placeholder: "search the window", "aria-label": "Search the window" });
  const kind = h("select", { "aria-label": "Which kinds" }, h("option", { value: "" }, "all kinds"),
    Object.entries(KINDS).map(([value, [glyph, name]]) => h("option", { value }, `${glyph} ${name}`)));
  const order = h("select", { "aria-label": "In which order" },
    [["", "as sent"], ["largest", "largest first"], ["kind", "by kind"], ["turn", "by turn"]].map(([value, name]) => h("option", { value }, name)));
  const compare = h("button", { type: "button", "aria-pressed": "false" }, "± diff");
  const { node, body, note } = section("Context, as it is sent", search, kind, order, compare);
  const strip = h("div", { class: "mn-strip", "aria-hidden": "true" });
  const pinned = h("div", { class: "mn-pinned", hidden: true });
  const list = h("div", { class: "mn-list", role: "listbox", tabindex: 0, "aria-label": "Items of the window" });
  const room = h("div", { class: "mn-room", role: "presentation" });
  const detail = h("div", { class: "mn-detail", role: "region", "aria-label": "The selected item", hidden: true });
  const scroller = h("div", { class: "mn-scroll" }, list, detail);
  const empty = h("p", { class: "mn-empty", hidden: true });
  list.append(room);
  body.append(strip, pinned, scroller, empty);
  root.append(node);

  const name = uid();
  let rows = [];
  let total = 0;
  let filtered = null;
  let diff = null;
  let active = 0;
  let open = -1;
  let height = 0;
  let asked = 0;
  let view = 420;
  const asking = new Set();
  const made = new Map();
  const plain = () => !search.value && !kind.value && !order.value && !diff;
  const query = () => ({ turn: feed.get("turn"), search: search.value, kinds: kind.value ? [kind.value] : [], order: order.value });
  const top = (at) => at * ROW + (open >= 0 && at > open ? height : 0);
  const place = (y) => {
    if (open < 0 || y < (open + 1) * ROW) return Math.floor(y / ROW);
    return Math.max(open, Math.floor((y - height) / ROW));
  };

  // -- what is shown --
  const refresh = async () => {
    const mine = ++asked;
    asking.clear();
    if (compare.getAttribute("aria-pressed") === "true" && feed.get("turn") > 0) return showDiff(mine);
    diff = null;
    const start = Math.max(0, Math.floor(place(scroller.scrollTop) / PAGE) * PAGE);
    try {
      const answer = await feed.ask("rows", { ...query(), start });
      if (mine !== asked) return;
      rows = [];
      total = answer.total;
      filtered = answer.tokens;
      answer.rows.forEach((row, at) => (rows[start + at] = row));
      failed("");
    } catch (error) {
      if (mine === asked) failed(error.message);
    }
    reopen();
    paint();
  };
  const showDiff = async (mine) => {
    try {
      const answer = await feed.ask("diff", { turn: feed.get("turn") });
      if (mine !== asked) return;
      diff = answer;
      rows = answer.rows;
      total = rows.length;
      failed(total ? "" : `Nothing changed: all ${plural(answer.same, "item")} of turn ${answer.turn - 1} stand in turn ${answer.turn} as they were.`);
    } catch (error) {
      if (mine === asked) failed(error.message);
    }
    reopen();
    paint();
  };
  const failed = (words) => {
    empty.textContent = words;
    empty.hidden = !words;
  };
  const more = async (page) => {
    if (asking.has(page) || diff) return;
    asking.add(page);
    const mine = asked;
    const answer = await feed.ask("rows", { ...query(), start: page * PAGE }).catch(() => null);
    if (mine !== asked || !answer) return;
    answer.rows.forEach((row, at) => (rows[page * PAGE + at] = row));
    roll();
  };
  const cells = (row) => {
    const [glyph, name] = KINDS[row[1]] ?? ["·", row[1]];
    const when = row[1] === "summary" ? turns(row[3], row[4]) : row[4] === null ? "" : `turn ${number(row[4])}`;
    const label = row[8] ? `${row[8]} ${row[6] ? "⇒" : "("}` : "";
    return [
      h("i", { class: `mn-key k-${row[1]}`, "aria-hidden": "true" }, glyph),
      h("span", { class: "mn-kind" }, row[1]),
      h("span", { class: "mn-when" }, when),
      h("span", { class: "mn-line-text" }, row[7] && h("em", {}, STAND_INS[row[7]] ?? row[7]), row[8] && h("b", {}, label), row[6] ? " " : "", h("bdi", {}, row[9] || "(empty)"), row[8] && !row[6] && h("b", {}, ")")),
      h("span", { class: "mn-weight", "aria-hidden": "true" }, h("u", { class: `k-${row[1]}`, style: { width: `${Math.max(2, (100 * row[5]) / Math.max(1, feed.facts?.largest ?? row[5]))}%` } })),
      h("span", { class: "mn-num" }, number(row[5]), h("span", { class: "mn-sr" }, name === "tools" && row[6] ? " tokens, result" : " tokens")),
    ];
  };
  const changeCells = (row) => [
    h("i", { class: `mn-key k-${row.kind}`, "aria-hidden": "true" }, SIGNS[row.change]),
    h("span", { class: "mn-kind" }, row.change),
    h("span", { class: "mn-when" }, row.turn === null ? "" : `turn ${number(row.turn)}`),
    h("span", { class: "mn-line-text" }, h("b", {}, row.kind), " ", h("bdi", {}, row.cause)),
    h("span", { class: "mn-weight mn-dim" }, short(row.id)),
    h("span", { class: "mn-num" }, row.before && row.after ? `${number(row.before)} → ${number(row.after)}` : `${SIGNS[row.change]}${number(row.before || row.after)}`),
  ];
  const element = (at) => {
    const row = rows[at];
    const selected = row && keyed(row) === feed.get("selected");
    const props = { id: `${name}-${at}`, role: "option", class: `mn-row${at === active ? " mn-active" : ""}`, "aria-selected": selected ? "true" : "false", "aria-setsize": total, "aria-posinset": at + 1, style: { top: `${top(at)}px` } };
    if (!row) props["data-waits"] = "yes";
    if (diff && row) props.class += ` mn-${row.change}`;
    const node = h("div", props, row ? (diff ? changeCells(row) : cells(row)) : h("span", { class: "mn-dim" }, "…"));
    node.addEventListener("click", () => choose(at));
    return node;
  };
  const keyed = (row) => (diff ? row.id : keyOf(row));
  const draw = () => {
    const { facts, head } = feed;
    if (!head || !facts) return;
    const writing = feed.writing && feed.get("turn") === null && plain();
    made.clear();
    room.style.height = `${top(total) + (open === total - 1 ? height : 0) + (writing ? ROW : 0)}px`;
    scroller.style.height = `${Math.min(Math.max(total + (writing ? 1 : 0), 2) * ROW + (open >= 0 ? height : 0), 420)}px`;
    view = scroller.clientHeight || 420;
    room.replaceChildren(...(writing ? [pending()] : []));
    roll();
    if (total) list.setAttribute("aria-activedescendant", `${name}-${active}`);
    else list.removeAttribute("aria-activedescendant");
    detail.style.top = `${(open + 1) * ROW}px`;
    told(facts);
  };
  // Only what comes into sight is made, and only what leaves it is taken away.
  const roll = () => {
    const [from, to] = [Math.max(0, place(scroller.scrollTop) - 6), Math.min(total, place(scroller.scrollTop + view) + 7)];
    for (const [at, node] of made)
      if (at < from || at >= to || (rows[at] && node.dataset.waits)) {
        node.remove();
        made.delete(at);
      }
    const first = made.size ? Math.min(...made.keys()) : 0;
    const [above, below] = [[], []];
    for (let at = from; at < to; at++) {
      if (!rows[at]) void more(Math.floor(at / PAGE));
      if (made.has(at)) continue;
      made.set(at, element(at));
      (at < first ? above : below).push(made.get(at));
    }
    if (above.length) room.prepend(...above);
    if (below.length) room.append(...below);
  };
  const pending = () =>
    h("div", { class: "mn-row mn-pending", style: { top: `${top(total)}px` } },
      h("i", { class: "mn-key k-assistant", "aria-hidden": "true" }, "←"), h("span", { class: "mn-kind" }, "assistant"), h("span", { class: "mn-when" }, "being written"),
      h("span", { class: "mn-line-text" }, h("bdi", {}, feed.writing.slice(-160))), h("span", {}), h("span", { class: "mn-num" }, `≈ ${number(feed.writing.length / 4)}`));
  const told = (facts) => {
    const what = diff
      ? `turn ${diff.turn - 1} → ${diff.turn}: ${number(diff.before)} → ${tokens(diff.after)}; ${plural(diff.same, "item")} as before`
      : filtered !== null ? `${number(total)} of ${plural(facts.count, "item")} · ${tokens(filtered)}` : `${plural(facts.count, "item")} · ${tokens(facts.size)}`;
    note.textContent = dotted(feed.get("turn") === null ? "the next request" : `turn ${number(facts.turn)}`, what);
    compare.disabled = !(feed.get("turn") > 0);
    compare.title = compare.disabled ? "Choose a past turn, then this compares its window with the one of the turn before" : "Compare with the turn before";
    if (!total && !empty.textContent) failed(plain() ? "Nothing is in the window yet." : "No item is like that.");
    else if (total && empty.textContent.startsWith("No")) failed("");
    const sum = Math.max(1, facts.size);
    strip.replaceChildren(...facts.strip.map(([name, size]) => h("i", { class: `k-${name}`, style: { "flex-grow": size / sum } })));
  };

  // -- the selected item --
  const choose = (at) => {
    active = at;
    const row = rows[at];
    if (!row) return;
    const key = keyed(row);
    if (feed.get("selected") === key) return close();
    open = diff ? -1 : at;
    feed.set("selected", key);
    void show();
  };
  const close = () => {
    open = -1;
    height = 0;
    detail.hidden = pinned.hidden = true;
    feed.set("selected", "");
    paint();
  };
  const reopen = () => {
    const key = feed.get("selected");
    const at = key ? rows.findIndex((row) => row && keyed(row) === key) : -1;
    if (at >= 0 && !diff) {
      open = active = at;
      if (pinned.firstChild) detail.replaceChildren(...pinned.childNodes);
      detail.hidden = !detail.firstChild;
      pinned.hidden = true;
    } else if (key) {
      if (detail.firstChild) pinned.replaceChildren(...detail.childNodes);
      pinned.hidden = !pinned.firstChild;
      detail.hidden = true;
      open = -1;
      height = 0;
    }
    if (active >= total) active = Math.max(0, total - 1);
  };
  const show = async () => {
    const key = feed.get("selected");
    const [id, result] = key.split("#");
    if (!key) {
      if (!detail.hidden || !pinned.hidden) close();
      return;
    }
    let card;
    try {
      const said = await feed.ask("item", { turn: feed.get("turn"), id, result: result ? 1 : 0 });
      if (feed.get("selected") !== key) return;
      if (said.row && plain()) {
        rows[said.row[0]] ??= said.row;
        open = active = said.row[0];
      } else if (open >= 0 && (!rows[open] || keyed(rows[open]) !== key)) open = -1;
      card = cardOf(feed, said, result, close);
    } catch (error) {
      card = [h("p", { class: "mn-empty" }, error.message)];
    }
    const inside = open >= 0;
    (inside ? detail : pinned).replaceChildren(...card);
    (inside ? pinned : detail).replaceChildren();
    detail.hidden = !inside;
    pinned.hidden = inside;
    measure();
    draw();
    if (inside) bring(open);
  };
  const measure = () => {
    height = detail.hidden ? 0 : detail.offsetHeight;
    paint();
  };
  const bring = (at) => {
    const [begin, end] = [top(at), top(at) + ROW + (at === open ? Math.min(height, 300) : 0)];
    if (begin < scroller.scrollTop) scroller.scrollTop = begin;
    else if (end > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = Math.min(begin, end - scroller.clientHeight);
  };
  const move = (to) => {
    active = Math.max(0, Math.min(total - 1, to));
    bring(active);
    paint();
  };
  const keys = {
    ArrowDown: () => move(active + 1), ArrowUp: () => move(active - 1), PageDown: () => move(active + 12), PageUp: () => move(active - 12),
    Home: () => move(0), End: () => move(total - 1), Enter: () => choose(active), " ": () => choose(active), Escape: close,
  };
  list.addEventListener("keydown", (event) => {
    if (event.target !== list || !keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  for (const region of [detail, pinned])
    region.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      close();
      list.focus();
    });

  // -- what it listens to --
  const paint = painter(scroller, draw);
  const anew = () => {
    scroller.scrollTop = 0;
    active = 0;
    void refresh();
  };
  let typing;
  search.addEventListener("input", () => (clearTimeout(typing), (typing = setTimeout(anew, 200))));
  kind.addEventListener("change", anew);
  order.addEventListener("change", anew);
  compare.addEventListener("click", () => {
    compare.setAttribute("aria-pressed", compare.getAttribute("aria-pressed") === "true" ? "false" : "true");
    anew();
  });
  strip.addEventListener("click", async (event) => {
    const box = strip.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * (feed.facts?.size ?? 0);
    const { row } = await feed.ask("at", { turn: feed.get("turn"), tokens: Math.floor(at) });
    if (!row) return;
    feed.set("selected", keyOf(row));
    await show();
  });
  scroller.addEventListener("scroll", painter(scroller, roll), { passive: true });
  new ResizeObserver(measure).observe(detail);
  let epoch = -1;
  feed.on("facts", () => {
    if (feed.error) return failed(feed.error);
    if (feed.get("turn") === null && epoch === feed.epoch && plain() && rows.length) return paint();
    epoch = feed.get("turn") === null ? feed.epoch : -1;
    return refresh();
  });
  feed.on("news", (news) => {
    if (feed.get("turn") !== null || !plain()) return;
    const atEnd = scroller.scrollTop + scroller.clientHeight > top(total) - 2 * ROW;
    if (epoch !== news.epoch) rows = [];
    epoch = news.epoch;
    total = news.facts.count;
    news.tail.forEach((row) => (rows[row[0]] = row));
    rows.length = total;
    if (atEnd && open < 0) requestAnimationFrame(() => (scroller.scrollTop = scroller.scrollHeight));
    paint();
  });
  feed.on("turn", () => (epoch = -1));
  feed.on("writing", paint);
  feed.on("selected", () => {
    const row = rows[open];
    if (!(row && keyed(row) === feed.get("selected") && !detail.hidden)) void show();
    paint();
  });
}

// Everything about one item: what it is, its life, what it stands for, and the exact text.
function cardOf(feed, said, result, close) {
  const row = said.row;
  const kind = row?.[1] ?? { sum: "summary", file: "file" }[said.id.split("_")[0]] ?? "";
  const [glyph, name] = KINDS[kind] ?? ["·", said.life ? "message" : kind];
  const facts = [
    row && row[4] !== null && row[4] !== undefined && (kind === "summary" ? turns(row[3], row[4]) : `turn ${number(row[4])}`),
    row && `${tokens(row[5])}, ${percent(row[5], feed.facts?.size ?? 0)} of what is sent`,
    !row && "not in this window itself",
    result && "the result of the call",
  ];
  const text = h("pre", { class: "mn-text", tabindex: 0 }, said.shown ?? said.text);
  const whole = async () => (said.length > said.text.length ? (await feed.ask("text", { turn: feed.get("turn"), id: said.id, result: result ? 1 : 0 })).text : said.text);
  const rest = said.length > said.text.length && h("button", { type: "button", class: "mn-quiet" }, `the first ${number(said.text.length)} of ${number(said.length)} characters: show all`);
  if (rest) rest.addEventListener("click", async () => ((text.textContent = await whole()), rest.remove()));
  return [
    h("div", { class: "mn-head" },
      h("i", { class: `mn-key k-${kind}`, "aria-hidden": "true" }, glyph), h("strong", {}, kind === "summary" ? "summary" : name), h("span", { class: "mn-dim" }, dotted(...facts)),
      h("span", { class: "mn-actions" }, h("code", {}, said.id), said.id.includes("_") && copyButton(() => said.id), h("button", { type: "button", class: "mn-quiet", "aria-label": "Close", onclick: close }, "✕"))),
    said.summary && summaryOf(feed, said),
    said.life && h("div", { class: "mn-life" }, h("h5", {}, "Its life"),
      h("ol", {}, said.life.steps.map(([turn, words]) => h("li", {}, turn === null ? "" : h("b", {}, `turn ${number(turn)}`), " ", words))),
      h("div", { class: "mn-dim" }, "Now: ", STATES[said.life.state] ?? said.life.state,
        said.life.covered && h("button", { type: "button", class: "mn-quiet", onclick: () => feed.set("selected", said.life.covered) }, `Σ ${short(said.life.covered)}`))),
    h("div", { class: "mn-exact" }, h("h5", {}, row ? "Exactly as it is sent" : "The original"), said.shown && h("span", { class: "mn-dim" }, "hidden characters are written out; copying gives the text itself"), copyButton(whole)),
    text, rest,
  ].filter(Boolean);
}

function summaryOf(feed, said) {
  const made = said.summary;
  const by = made.model ? `level ${made.level}, by ${made.model}` : `level ${made.level}, without a model`;
  const fold = h("button", { type: "button", "aria-expanded": "false" }, `▸ ${made.kind === "leaf" ? plural(made.sources, "original message") : `the ${plural(made.sources, "summary")} below it`}`);
  const held = h("div", { class: "mn-originals", hidden: true });
  let next = null;
  const load = async () => {
    const page = await feed.ask("expand", { id: said.id, cursor: next });
    next = page.next;
    held.querySelector(".mn-more")?.remove();
    held.append(...page.items.map((item) => original(feed, item)));
    if (next) held.append(h("button", { type: "button", class: "mn-more", onclick: load }, "more"));
  };
  fold.addEventListener("click", async () => {
    const opening = held.hidden;
    held.hidden = !opening;
    fold.setAttribute("aria-expanded", String(opening));
    fold.textContent = `${opening ? "▾" : "▸"}${fold.textContent.slice(1)}`;
    if (opening && !held.firstChild) await load();
  });
  return h("div", { class: "mn-made" },
    h("div", {}, h("b", {}, turns(...made.turns)), ` · ${made.kind}, depth ${made.depth} · ${by} · ${plural(made.messages, "message")} · ${number(made.before)} → ${tokens(made.after)}, ${percent(made.before - made.after, made.before)} saved`, made.fidelity.length ? ` · some sources ${made.fidelity.join(", ")}` : ""),
    h("div", { class: made.lost.length ? "mn-lost" : "mn-kept" }, made.lost.length ? "✗ " : "✓ ", made.certificate),
    made.lost.length > 0 && h("ul", { class: "mn-losses" }, made.lost.map(([kind, gone, all, some]) => h("li", {}, h("b", {}, kind), ` ${number(gone)} of ${number(all)}: `, some.map((each) => h("code", {}, each)), gone > some.length ? "…" : ""))),
    fold, held);
}

function original(feed, item) {
  const [glyph] = KINDS[item.role] ?? ["Σ"];
  return h("details", {},
    h("summary", {}, h("i", { class: `mn-key k-${KINDS[item.role] ? item.role : "summary"}`, "aria-hidden": "true" }, glyph), h("span", { class: "mn-kind" }, item.role), h("span", { class: "mn-when" }, `turn ${number(item.turn)}`), h("bdi", { class: "mn-line-text" }, item.text.replace(/^#.*$/gm, "").trim().slice(0, 160))),
    h("pre", { class: "mn-text", tabindex: 0 }, item.text),
    h("div", { class: "mn-dim" }, h("code", {}, item.id), copyButton(() => item.id), h("button", { type: "button", class: "mn-quiet", onclick: () => feed.set("selected", item.id) }, "its life")));
}
