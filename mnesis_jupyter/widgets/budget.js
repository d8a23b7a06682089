import { KINDS, compact, dotted, h, number, painter, percent, s, section, tokens } from "./core.js";

// The window as one bar: what is in it, what is free, what is kept back, the two marks; below it how it got there.
export function budget(root, feed) {
  const { node, body, note } = section("Window");
  const total = h("span", { class: "mn-total" });
  node.querySelector(".mn-actions").append(total);
  const bar = h("div", { class: "mn-bar", role: "img" });
  const legend = h("ul", { class: "mn-legend" });
  const forecast = h("div", { class: "mn-forecast", role: "status" });
  const saw = s("svg", { class: "mn-saw", height: 46, role: "img" });
  const plot = h("div", { class: "mn-plot" }, h("span", { class: "mn-gutter" }, "size by turn"), h("div", { class: "mn-axis" }, saw));
  body.append(bar, legend, plot, forecast);
  root.append(node);

  const draw = () => {
    const { head, facts } = feed;
    if (!head?.budget || !facts) return;
    const { budget: share } = head;
    const scale = Math.max(share.context_limit, facts.size);
    const reserve = Math.max(0, share.context_limit - Math.max(share.usable, facts.size));
    const free = Math.max(0, share.usable - facts.size);
    const parts = [...Object.entries(KINDS).map(([kind, [, name]]) => [kind, name, facts.kinds[kind] ?? 0])];
    parts.push(["free", "free", free], ["reserve", "reserve", reserve]);
    note.textContent = feed.get("turn") === null ? "as the next request would send it" : `as turn ${number(facts.turn)} sent it`;
    total.textContent = `${number(facts.size)} / ${tokens(share.usable)} · ${percent(facts.size, share.usable)}`;
    const room = bar.clientWidth / scale;
    bar.replaceChildren(
      ...parts.filter(([, , size]) => size).map(([kind, name, size]) =>
        h("span", { class: `mn-seg k-${kind}`, style: { width: `${(100 * size) / scale}%` } },
          kind !== "free" && size * room > 8 * name.length + 14 ? name : "")),
      h("i", { class: "mn-mark mn-softmark", style: { left: `${(100 * share.soft) / scale}%` } }),
      h("i", { class: "mn-mark mn-hardmark", style: { left: `${(100 * share.usable) / scale}%` } }));
    const told = parts.filter(([, , size]) => size).map(([, name, size]) => `${name} ${number(size)}`);
    bar.setAttribute("aria-label", `${total.textContent}: ${told.join(", ")}; soft mark at ${number(share.soft)}, hard mark at ${number(share.usable)}`);
    legend.replaceChildren(
      ...parts.filter(([kind, , size]) => size && kind !== "reserve").map(([kind, name, size]) =>
        h("li", {}, h("i", { class: `mn-key k-${kind}` }, KINDS[kind]?.[0] ?? ""), name, h("b", {}, number(size)), h("span", { class: "mn-dim" }, percent(size, share.usable)))),
      h("li", { title: "From here on, compaction in the background" }, h("i", { class: "mn-key mn-softkey" }), "soft", h("b", {}, number(share.soft))),
      h("li", { title: "The budget: never is more sent" }, h("i", { class: "mn-key mn-hardkey" }), "hard", h("b", {}, number(share.usable))),
      h("li", { title: `${number(share.output_reserve)} for the reply, ${number(share.compaction_reserve)} for compaction` },
        h("i", { class: "mn-key k-reserve" }), "reserve", h("b", {}, number(reserve))));
    forecast.textContent = dotted(feed.writing && `a reply is being written: about ${tokens(feed.writing.length / 4)} so far`, head.forecast && `${feed.get("turn") === null ? "" : "now: "}${head.forecast}`);
    drawSaw(share);
  };
  const drawSaw = (share) => {
    const { map } = feed;
    if (!map) return;
    const [first, last] = feed.extent();
    const [width, height] = [saw.clientWidth, 46];
    const sizes = map.size;
    const top = Math.max(share.soft * 1.35, ...sizes) || 1;
    const x = (turn) => ((turn - first) / (last - first)) * width;
    const y = (size) => height - 3 - (size / top) * (height - 8);
    const points = sizes.map((size, at) => `${x(map.first + (at + 0.5) * map.width).toFixed(1)},${y(size).toFixed(1)}`);
    saw.setAttribute("aria-label", `The window's size over ${number(last - first)} turns: at most ${tokens(Math.max(0, ...sizes))}`);
    saw.replaceChildren(
      s("polygon", { class: "mn-area", points: points.length ? `${points[0].split(",")[0]},${height} ${points.join(" ")} ${points.at(-1).split(",")[0]},${height}` : "" }),
      s("line", { class: "mn-softline", x1: 0, x2: width, y1: y(share.soft), y2: y(share.soft) }),
      share.usable <= top && s("line", { class: "mn-hardline", x1: 0, x2: width, y1: y(share.usable), y2: y(share.usable) }),
      points.length > 1 ? s("polyline", { class: "mn-line", points: points.join(" ") })
        : points.length ? s("circle", { class: "mn-dot", r: 3, cx: points[0].split(",")[0], cy: points[0].split(",")[1] }) : "",
      s("text", { x: width - 2, y: Math.max(9, y(share.soft) - 3), "text-anchor": "end" }, `soft ${compact(share.soft)}`),
      feed.get("turn") !== null && s("line", { class: "mn-cursor", x1: x(feed.shown() + 0.5), x2: x(feed.shown() + 0.5), y1: 0, y2: height }));
  };
  const paint = painter(body, draw);
  ["head", "map", "facts", "turn", "writing", "span"].forEach((name) => feed.on(name, paint));
}
