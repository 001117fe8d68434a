/** The drawer with the protocol: every request, envelope and answer, without tokens. */

import { get } from "./api.js";
import { h } from "./dom.js";
import { store } from "./store.js";

const MOST = 500; // lines on the page
const drawer = document.getElementById("drawer");
const toggleButton = document.getElementById("drawer-toggle");
const KINDS = { api: "API call", envelope: "Envelope", acknowledgement: "Acknowledgement", request: "Request", answer: "Answer", response_url: "Response URL", connection: "Connection", failed: "Failure", nonsense: "Nonsense" };

const filter = h("input", { type: "search", class: "field", placeholder: "Filter, for example chat.postMessage", "aria-label": "Filter the protocol" });
const troubleOnly = h("input", { type: "checkbox" });
const list = h("ol", { class: "lines", tabindex: "0", "aria-label": "Lines of the protocol" });
const clear = h("button", { type: "button", class: "button", text: "Clear" });
const close = h("button", { type: "button", class: "icon", "aria-label": "Close the protocol", text: "×", on: { click: () => toggle(false) } });
drawer.append(
  h("header", {}, h("h2", { text: "Protocol" }), h("span", { class: "grow" }), close),
  h("div", { class: "tools" }, filter, h("label", { class: "box" }, troubleOnly, "Failures only"), clear),
  list,
);

let last = 0;

/** Shows or hides the drawer. */
export async function toggle(open = drawer.hidden) {
  drawer.hidden = !open;
  toggleButton.setAttribute("aria-pressed", String(open));
  localStorage.setItem("protocol", open ? "open" : "");
  if (!open) return toggleButton.focus();
  const { lines } = await get("protocol", { as: store.me });
  list.replaceChildren();
  last = 0;
  lines.forEach(add);
}

/** One line more. */
function add(line) {
  if (line.number <= last) return;
  last = line.number;
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  const text = JSON.stringify(line.data, null, 2);
  const failed = line.failed || line.what === "failed" || line.what === "nonsense";
  const summary = h("summary", {}, h("time", { text: clock(line.time) }),
    h("span", { class: `way ${line.to}`, title: line.to === "app" ? "to the app" : "to Slack", text: line.to === "app" ? "→ app" : "→ Slack" }),
    h("span", { class: "kind", text: KINDS[line.what] ?? line.what }), h("span", { class: "title", text: line.title })); // prettier-ignore
  const details = h("details", {}, summary);
  if (line.data === null) details.classList.add("bare");
  details.addEventListener("toggle", () => details.childElementCount > 1 || details.append(h("pre", { tabindex: "0" }, h("code", { text }))));
  const item = h("li", { class: failed ? "failed" : "" }, details);
  item.haystack = `${line.what} ${line.title} ${text}`.toLowerCase();
  item.hidden = !wanted(item);
  list.append(item);
  while (list.childElementCount > MOST) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

const clock = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 8);
const wanted = (item) => item.haystack.includes(filter.value.trim().toLowerCase()) && (!troubleOnly.checked || item.classList.contains("failed"));

function refilter() {
  for (const item of list.children) item.hidden = !wanted(item);
}

filter.addEventListener("input", refilter);
troubleOnly.addEventListener("change", refilter);
clear.addEventListener("click", () => list.replaceChildren());
toggleButton.addEventListener("click", () => toggle());
drawer.addEventListener("keydown", (event) => event.key === "Escape" && toggle(false));
store.addEventListener("protocol", (event) => drawer.hidden || add(event.detail.line));
