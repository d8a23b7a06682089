import { dotted, h, ready, rootOf } from "./core.js";
import { runningBar } from "./running.js";

// By state: words, the shape of the dot.
const STATES = {
  running: ["running in the background …", "streaming"],
  stopping: ["stopping: what is under way is finished …", "waiting"],
  done: ["done", "done"],
  stopped: ["stopped", "stopped"],
  failed: ["stopped by an error", "failed"],
};
const AGAIN = 800; // Milliseconds: sooner, a second press is half of a double click.

// A map that runs in the background: how far it is, what failed first, and a button that stops it.
export function map({ model, el }) {
  const root = rootOf(el);
  const { node: bar, say, stop } = runningBar(() => halt(), h("bdi", { class: "mn-dim mn-of" }, model.get("model")), h("span", { class: "mn-dim" }, model.get("run")));
  const done = h("i", { class: "mn-fill" });
  const failed = h("i", { class: "mn-fill mn-failed" });
  const track = h("div", { class: "mn-track", role: "progressbar", "aria-label": "Items", "aria-valuemin": 0, "aria-valuemax": 100 }, done, failed);
  const count = h("strong", {});
  const facts = h("span", {});
  const failures = h("ul", { class: "mn-failures", "aria-label": "The first that failed" });
  const foot = h("div", { class: "mn-dim" });
  root.setAttribute("aria-label", dotted("mnesis map", model.get("run")));
  root.append(bar, h("div", { class: "mn-map" }, h("div", { class: "mn-counts" }, count, facts), track, failures, foot));

  let pressed = -AGAIN;
  const halt = () => {
    if (performance.now() - pressed < AGAIN) return;
    pressed = performance.now();
    model.send({ stop: true });
  };
  const draw = () => {
    const said = model.get("state");
    const words = model.get("words");
    say(...STATES[said], said === "running" || said === "stopping");
    const [label, name] = said === "running" ? ["■ Stop", "Stop this map"] : ["■ Stop now", "Stop now: what is under way is not waited for"];
    stop.textContent = label;
    stop.setAttribute("aria-label", name);
    count.textContent = words.items ?? "";
    facts.textContent = words.facts ?? "";
    done.style.width = `${words.done ?? 0}%`;
    failed.style.width = `${words.failed ?? 0}%`;
    track.setAttribute("aria-valuenow", Math.round((words.done ?? 0) + (words.failed ?? 0)));
    track.setAttribute("aria-valuetext", words.items ?? "");
    failures.replaceChildren(...(words.failures ?? []).map((each) => h("li", {}, h("span", { class: "mn-cross", "aria-hidden": "true" }, "✗ "), each)));
    failures.hidden = !words.failures?.length;
    const lines = [words.more, model.get("error"), words.hint?.replaceAll("`", "")].filter(Boolean);
    foot.replaceChildren(...lines.map((line) => h("div", { class: line === model.get("error") ? "mn-error" : null }, line)));
    foot.hidden = !lines.length;
  };
  const heard = ["state", "words", "error"].map((name) => `change:${name}`);
  heard.forEach((name) => model.on(name, draw));
  draw();
  ready(root, model);
  return () => heard.forEach((name) => model.off(name, draw));
}
