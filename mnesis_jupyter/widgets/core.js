// What all panels share: elements, numbers in words, the line to the kernel, and the frame that draws.
// Text of the session only ever becomes a text node.

export const KINDS = {
  system: ["◆", "system"],
  tools: ["ƒ", "tool definitions"],
  summary: ["Σ", "summaries"],
  user: ["→", "user"],
  assistant: ["←", "assistant"],
  tool: ["⚙", "tools"],
  file: ["▤", "files"],
  media: ["▣", "media"],
};
export const SAID = ["user", "assistant", "tool", "file"];

export function h(tag, props, ...kids) {
  return fill(document.createElement(tag), props, kids);
}

export function s(tag, props, ...kids) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, kids);
}

function fill(node, props, kids) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.entries(value).forEach(([key, each]) => node.style.setProperty(key, each));
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...kids.flat().filter((kid) => kid !== null && kid !== undefined && kid !== false));
  return node;
}

export const number = (count) => Math.round(count).toLocaleString("en-US");
export const plural = (count, word) => `${number(count)} ${count === 1 ? word : `${word}s`.replace(/ys$/, "ies")}`;
export const tokens = (count) => plural(count, "token");
export const dotted = (...facts) => facts.filter(Boolean).join(" · ");
export const short = (id) => (id.length > 16 ? `${id.split("_")[0]}_…${id.slice(-4)}` : id);
export const turns = (first, last) => (first === last ? `turn ${number(last)}` : `turns ${number(first)}–${number(last)}`);

export const uid = () => `mn${Math.random().toString(36).slice(2, 8)}`;

export function percent(part, whole) {
  const share = (100 * part) / Math.max(whole, 1);
  if (share > 0 && share < 0.1) return "<0.1 %";
  return `${share > 0 && share < 9.95 ? share.toFixed(1) : share.toFixed(0)} %`;
}

export function compact(count) {
  if (count < 10_000) return number(count);
  return count < 1e6 ? `${(count / 1e3).toFixed(count < 1e5 ? 1 : 0)}k` : `${(count / 1e6).toFixed(1)}M`;
}

export function copyButton(text) {
  const button = h("button", { type: "button", class: "mn-quiet", title: "Copy to the clipboard" }, "copy");
  button.addEventListener("click", async () => {
    const done = await navigator.clipboard?.writeText(await text()).then(() => true, () => false);
    button.textContent = done ? "copied" : "not allowed here: select the text";
    setTimeout(() => (button.textContent = "copy"), 1500);
  });
  return button;
}

// The session as the front end knows it. The traits turn, selected and span are the model's, so they can be linked.
export function feedOf(model) {
  const waiting = new Map();
  const heard = {};
  const feed = { head: null, map: null, summaries: null, facts: null, epoch: 0, writing: "", alive: false };
  let count = 0;

  feed.on = (name, handler) => (heard[name] ??= []).push(handler);
  feed.tell = (name, value) => (heard[name] ?? []).forEach((handler) => handler(value));
  feed.get = (name) => model.get(name);
  feed.set = (name, value) => {
    if (JSON.stringify(model.get(name)) === JSON.stringify(value)) return;
    model.set(name, value);
    model.save_changes();
  };
  feed.ask = (what, args = {}) =>
    new Promise((resolve, reject) => {
      waiting.set(++count, [resolve, reject]);
      model.send({ ask: what, number: count, with: args });
    });
  feed.load = async () => {
    const { head, map, summaries, epoch } = await feed.ask("overview", { span: feed.get("span") });
    Object.assign(feed, { head, map, summaries, epoch, alive: true });
    ["head", "map", "summaries"].forEach(feed.tell);
  };
  // The facts of the turn that is wanted by the time the answer to the last question is there.
  let loading = false;
  feed.loadFacts = async () => {
    if (loading) return;
    loading = true;
    try {
      let turn;
      do {
        turn = feed.get("turn");
        feed.facts = await feed.ask("facts", { turn });
      } while (turn !== feed.get("turn"));
      feed.error = null;
    } catch (error) {
      feed.error = error.message;
    } finally {
      loading = false;
    }
    feed.tell("facts");
  };
  feed.shown = () => feed.get("turn") ?? feed.head?.turns ?? 0;
  feed.go = (turn) => feed.set("turn", turn >= (feed.head?.turns ?? 0) ? null : Math.max(0, turn));
  // Shows the turns between two places of the axis, at least two of them.
  feed.zoom = (one, other) => {
    const first = Math.max(0, Math.floor(Math.min(one, other)));
    feed.set("span", [first, Math.max(first + 2, Math.min(Math.ceil(Math.max(one, other)), feed.head.turns))]);
  };
  feed.extent = () => {
    const [first, last] = feed.get("span") ?? [];
    return last > first ? [first, last] : [0, Math.max(16, feed.head?.turns ?? 1)];
  };

  const hear = (content) => {
    if (content.answer !== undefined) {
      const [resolve, reject] = waiting.get(content.answer) ?? [];
      waiting.delete(content.answer);
      if (content.error) reject?.(new Error(content.error));
      else resolve?.(content);
    } else if (content.push) {
      take(content.push);
    }
  };
  const take = (push) => {
    if (push.written) feed.writing += push.written;
    if (push.head) {
      const was = feed.head;
      Object.assign(feed, { head: push.head, epoch: push.epoch });
      if (push.head.state !== "answering") feed.writing = "";
      if (feed.get("turn") === null) feed.facts = push.facts;
      if (!(feed.get("span") ?? []).length) extend(push.map, was);
      if (push.summaries && !(feed.get("span") ?? []).length) feed.summaries = push.summaries;
      ["head", "map", "facts"].forEach(feed.tell);
      if (push.summaries) feed.tell("summaries");
      feed.tell("news", push);
    }
    feed.tell("writing");
  };
  const extend = (news) => {
    if (!feed.map || (news.width !== feed.map.width && news.first > 0)) return void feed.load();
    const from = (news.first - feed.map.first) / news.width;
    if (news.first === 0) return void (feed.map = news);
    feed.map.said.forEach((kind, at) => kind.splice(from, kind.length, ...news.said[at]));
    feed.map.size.splice(from, feed.map.size.length, ...news.size);
    feed.map.bad = [...feed.map.bad.filter((turn) => turn < news.first), ...news.bad];
  };
  const changed = { turn: () => (feed.tell("turn"), feed.loadFacts()), selected: () => feed.tell("selected") };
  changed.span = () => (feed.tell("span"), feed.load());
  model.on("msg:custom", hear);
  Object.entries(changed).forEach(([name, handler]) => model.on(`change:${name}`, handler));
  feed.close = () => {
    model.off("msg:custom", hear);
    Object.entries(changed).forEach(([name, handler]) => model.off(`change:${name}`, handler));
  };
  return feed;
}

// Calls a drawing once a frame at most, and when the size changes.
export function painter(node, draw) {
  let due = false;
  const paint = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      if (node.isConnected) draw();
    });
  };
  new ResizeObserver(paint).observe(node);
  return paint;
}

export function tooltip(root) {
  const tip = h("div", { class: "mn-tip", "aria-hidden": "true", hidden: true });
  root.append(tip);
  return {
    show(event, ...lines) {
      tip.replaceChildren(...lines.filter(Boolean).map((line) => h("div", {}, line)));
      tip.hidden = false;
      const box = root.getBoundingClientRect();
      const x = Math.min(event.clientX - box.left + 12, box.width - tip.offsetWidth - 4);
      tip.style.left = `${Math.max(4, x)}px`;
      tip.style.top = `${event.clientY - box.top + 16}px`;
    },
    hide: () => (tip.hidden = true),
  };
}

export function section(title, ...tools) {
  const note = h("span", { class: "mn-note" });
  const body = h("div", { class: "mn-body" });
  const node = h("section", { class: "mn-section", "aria-label": title },
    h("header", {}, h("h4", {}, title), note, h("span", { class: "mn-actions" }, tools)), body);
  return { node, body, note };
}

// Where a widget is drawn.
export function rootOf(el) {
  const root = h("div", { class: "mnesis", role: "group", "aria-label": "mnesis" });
  el.append(root);
  // A notebook in command mode would take "d d" for "delete this cell". Its shortcuts with Ctrl are left to it.
  root.addEventListener("keydown", (event) => event.ctrlKey || event.metaKey || event.stopPropagation());
  return root;
}

// The static copy is for where this widget cannot live; it is hidden for as long as this one does.
export function ready(root, model) {
  const copy = `.${model.get("copy_id")}`;
  root.append(h("style", {}, `.jp-OutputArea-child:has(${copy}),${copy}{display:none}`));
  root.dataset.ready = "yes";
}

export function widget(panel) {
  return ({ model, el }) => {
    const feed = feedOf(model);
    const root = rootOf(el);
    const wait = h("p", { class: "mn-wait" }, "Waiting for the kernel. Where there is none, the static copy below stands for this view.");
    root.append(wait);
    feed.tip = tooltip(root);
    const close = panel(root, feed);
    feed.load().then(
      () => {
        wait.remove();
        ready(root, model);
      },
      (error) => (wait.textContent = error.message),
    );
    feed.loadFacts();
    return () => (close?.(), feed.close());
  };
}
