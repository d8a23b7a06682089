import { h } from "./core.js";

// The head of what runs in the background: how it stands, in words and by a dot, what it is, and a button to stop it.
export function runningBar(halt, ...about) {
  const dot = h("i", { class: "mn-dot-state", "aria-hidden": "true" });
  const state = h("span", { role: "status", tabindex: -1 });
  const stop = h("button", { type: "button", class: "mn-stop", onclick: halt }, "■ Stop");
  const node = h("div", { class: "mn-replybar" }, h("span", { class: "mn-live" }, dot, state), about, stop);
  const say = (words, shape, running) => {
    if (state.textContent !== words) state.textContent = words;
    dot.dataset.state = shape;
    if (!running && document.activeElement === stop) state.focus(); // else the notebook would hear the next key
    stop.hidden = !running;
  };
  return { node, say, stop };
}
