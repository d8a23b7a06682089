import { dotted, h, ready, rootOf, tokens } from "./core.js";
import { runningBar } from "./running.js";

const WORDS = {
  waiting: "waiting: the session is busy",
  streaming: "writing",
  calling: "running tools",
  done: "done",
  aborted: "stopped",
  stopped: "stopped",
  failed: "failed",
};
const TAGS = new Set("a bdi blockquote br code details div em h3 h4 h5 h6 hr li ol p pre s span strong summary table tbody td th thead tr ul".split(" "));
const ATTRIBUTES = new Set(["class", "style", "title", "href", "target", "rel", "start", "open", "aria-hidden"]);

// A reply that is written in the background: how it stands, a button that stops it, and what there is of it.
export function reply({ model, el }) {
  const root = rootOf(el);
  const where = h("bdi", { class: "mn-dim mn-of" });
  const count = h("span", { class: "mn-dim" });
  const { node: bar, say, stop } = runningBar(() => halt(), where, count);
  stop.setAttribute("aria-label", "Stop this reply");
  const body = h("div", { class: "mn-reply", "aria-label": "Reply" });
  root.append(bar, body);

  const running = () => ["waiting", "streaming", "calling"].includes(model.get("state"));
  const halt = () => {
    model.send({ stop: true });
    stop.disabled = true;
    stop.textContent = "stopping …";
  };
  const draw = () => {
    const said = model.get("state");
    say(`${WORDS[said]}${running() ? " in the background …" : ""}`, said, running());
    where.textContent = model.get("session");
    root.setAttribute("aria-label", dotted("mnesis reply", model.get("session")));
    count.textContent = model.get("tokens") ? `${said === "done" ? "" : "about "}${tokens(model.get("tokens"))}` : "";
  };
  const grow = () => body.replaceChildren(...model.get("view").map(node));
  const heard = { state: draw, tokens: draw, view: grow };
  Object.entries(heard).forEach(([name, handler]) => model.on(`change:${name}`, handler));
  draw();
  grow();
  ready(root, model);
  return () => Object.entries(heard).forEach(([name, handler]) => model.off(`change:${name}`, handler));
}

// Of the tree that the kernel made: text stays text.
function node(tree) {
  if (typeof tree === "string") return document.createTextNode(tree);
  const [tag, attributes, kids] = tree;
  const element = document.createElement(TAGS.has(tag) ? tag : "span");
  for (const [name, value] of Object.entries(attributes)) if (ATTRIBUTES.has(name)) element.setAttribute(name, value);
  element.append(...kids.map(node));
  return element;
}
