import { dotted, h, number, plural } from "./core.js";
import { budget } from "./budget.js";
import { context } from "./context.js";
import { summaries } from "./summaries.js";
import { timeline } from "./timeline.js";

const BEAT = 250;

// All panels on one axis of turns, and the hand that moves along it.
export function inspector(root, feed) {
  const dot = h("i", { class: "mn-dot-state", "aria-hidden": "true" });
  const state = h("span", { class: "mn-state", role: "status" });
  const title = h("bdi", { class: "mn-title" });
  const model = h("bdi", { class: "mn-pill" });
  const cost = h("span", { class: "mn-dim" });
  const where = h("output", { class: "mn-where" });
  const slider = h("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": "Turn whose window is shown" });
  const button = (label, words, act) => h("button", { type: "button", title: words, "aria-label": words, onclick: act }, label);
  const back = button("◀", "One turn back", () => feed.go(feed.shown() - 1));
  const on = button("▶", "One turn on", () => feed.go(feed.shown() + 1));
  const play = button("play", "Play turn by turn", () => (timer ? stop() : start()));
  const now = button("now ⇥", "Follow the session: the window of the next request", () => feed.set("turn", null));
  root.append(h("div", { class: "mn-topbar" },
    h("div", { class: "mn-who" }, h("span", { class: "mn-live" }, dot, state), title, model, cost),
    h("div", { class: "mn-travel", role: "group", "aria-label": "Time travel" }, where, back, slider, on, play, now)));
  for (const panel of [budget, summaries, timeline, context]) panel(root, feed);

  let timer = null;
  const stop = () => {
    clearTimeout(timer);
    timer = null;
    play.textContent = "play";
  };
  const start = () => {
    if (feed.get("turn") === null) feed.set("turn", 0);
    play.textContent = "pause";
    timer = setTimeout(beat, BEAT);
  };
  const beat = () => {
    if (!root.isConnected || feed.get("turn") === null) return stop();
    if (feed.facts?.turn === feed.get("turn")) feed.go(feed.get("turn") + 1);
    timer = setTimeout(beat, BEAT);
  };
  const draw = () => {
    const { head, facts } = feed;
    if (!head) return;
    root.setAttribute("aria-label", dotted("mnesis inspector", head.title));
    state.textContent = head.state;
    dot.dataset.state = head.state;
    title.textContent = head.title || head.id;
    model.textContent = head.model;
    cost.textContent = head.cost === null ? "" : `$${head.cost.toFixed(head.cost < 0.1 ? 4 : 2)}`;
    const turn = feed.get("turn");
    const past = facts && facts.turn === turn ? dotted(facts.state !== "committed" && facts.state, facts.seconds > 0.05 && `${facts.seconds.toFixed(1)} s`, facts.broken && `⌁ cache broken: ${facts.broken}`) : "";
    where.replaceChildren(h("b", {}, turn === null ? "next request" : `turn ${number(turn)}`), turn === null ? ` after ${plural(head.turns, "turn")}` : ` of ${number(head.turns)}`, past ? h("span", { class: "mn-dim" }, ` · ${past}`) : "");
    slider.max = head.turns;
    slider.value = turn ?? head.turns;
    slider.setAttribute("aria-valuetext", where.textContent);
    back.disabled = slider.disabled = play.disabled = !head.turns;
    on.disabled = now.disabled = turn === null;
  };
  slider.addEventListener("input", () => (stop(), feed.go(Number(slider.value))));
  ["head", "turn", "facts"].forEach((name) => feed.on(name, draw));
  return stop;
}
