/** The page: puts the parts together and keeps them in step with the workspace. */

import { post } from "./api.js";
import { composer } from "./composer.js";
import { h, keep, soon } from "./dom.js";
import { drawHome } from "./home.js";
import { MessageList } from "./messages.js";
import { drawModal } from "./modal.js";
import { toggle as toggleProtocol } from "./protocol.js";
import { screen } from "./screen.js";
import { drawSidebar, toggle as toggleSide, unread } from "./sidebar.js";
import { store } from "./store.js";
import { drawWho } from "./who.js";

const at = (id) => document.getElementById(id);
const log = new MessageList(at("log"), { inThread: false });
const below = h("div", { class: "log", role: "log", "aria-label": "Replies", tabindex: "0" });
const thread = new MessageList(below, { inThread: true });
const write = composer({ id: "composer-text", inThread: false });
const reply = composer({ id: "reply-text", inThread: true });
const threadPlace = h("small");
at("composer").append(write.root);
at("thread").append(
  h("header", {}, h("h2", { text: "Thread" }), threadPlace, h("span", { class: "grow" }), h("button", { type: "button", class: "icon", "aria-label": "Close the thread", text: "×", on: { click: closeThread } })),
  below,
  reply.root,
); // prettier-ignore
const placeName = h("h1", { id: "place-name" });
const placeTopic = h("p", { dir: "auto" });
const placeMore = h("span", { class: "more" });
at("place").append(h("div", {}, placeName, placeTopic), h("span", { class: "grow" }), placeMore);

function closeThread() {
  const ts = screen.thread;
  screen.go(screen.channel);
  at("log").querySelector(`[data-ts="${CSS.escape(ts)}"] .replies`)?.focus();
}

const asides = (thread) =>
  screen.asides
    .filter((each) => each.channel === screen.channel && each.thread === thread && each.me === store.me)
    .map((each) => (each.message ??= { ...each, user: "slackbot", is_aside: true }));

const inOrder = (messages) => messages.sort((one, other) => (one.ts < other.ts ? -1 : 1));

function draw() {
  const place = screen.place;
  if (!place) return;
  drawSidebar();
  drawWho();
  drawPlace(place);
  const atHome = drawHome();
  at("log").hidden = at("composer").hidden = atHome;
  const all = store.log(screen.channel);
  const roots = all.filter((message) => !message.thread_ts || message.thread_ts === message.ts || message.is_broadcast);
  log.draw(`${store.me} ${screen.channel}`, inOrder([...roots, ...asides("")]));
  write.draw(place);
  drawThread(place, all);
  drawModal();
  markRead(roots);
}

function drawPlace(place) {
  const name = place.is_im ? store.member(store.bot).real_name : place.name;
  placeName.textContent = place.is_im ? name : `${place.is_private ? "🔒" : "#"} ${name}`;
  document.title = `${place.is_im ? "" : "#"}${name} – Maint sandbox`;
  placeTopic.textContent = place.topic;
  const members = `${place.members.length} members`;
  keep(placeMore, place.is_im ? [] : [h("span", { text: members })]);
}

function drawThread(place, all) {
  const parent = all.find((message) => message.ts === screen.thread);
  at("thread").hidden = !parent;
  document.body.classList.toggle("thread-open", Boolean(parent));
  if (!parent) return;
  threadPlace.textContent = place.is_im ? "" : `#${place.name}`;
  const replies = all.filter((message) => message.thread_ts === parent.ts && message !== parent);
  thread.draw(`${store.me} ${screen.channel} ${parent.ts}`, inOrder([parent, ...replies, ...asides(parent.ts)]));
  reply.draw(place);
}

let marked = "";

function markRead(roots) {
  const last = roots.at(-1);
  if (!last || document.hidden || !unread(screen.channel)) return;
  const name = `${store.me} ${last.channel} ${last.ts}`;
  if (name === marked) return;
  marked = name;
  const newest = roots.filter((message) => !message.is_aside).at(-1);
  post("read", { as: store.me, channel: newest.channel, ts: newest.ts });
}

let opened = "";

screen.addEventListener("change", () => {
  const now = `${screen.channel} ${screen.thread}`;
  const moved = now !== opened;
  opened = now;
  draw();
  // A phone's keyboard would cover the channel that was just opened; those who choose by keys stay in the list.
  if (!moved || matchMedia("(max-width: 720px)").matches || document.activeElement?.closest("#side")) return;
  (screen.thread ? reply : write).focus();
});
store.addEventListener("change", soon(draw));
document.addEventListener("visibilitychange", draw);

const trouble = at("trouble");
store.addEventListener("lost", () => {
  const retry = h("button", { type: "button", text: "Try now", on: { click: () => store.retry() } });
  keep(trouble, ["The sandbox does not answer. Reconnecting … ", retry].map((each) => (typeof each === "string" ? document.createTextNode(each) : each)));
  trouble.hidden = false;
});
store.addEventListener("connected", () => {
  trouble.hidden = true;
  document.documentElement.dataset.ready = store.me;
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (document.body.classList.contains("side-open")) toggleSide(false);
  else if (screen.thread && !event.target.closest("#drawer")) closeThread();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest(".text a[href^='#']");
  if (link) {
    event.preventDefault();
    screen.go(link.getAttribute("href").slice(1));
  } else if (document.body.classList.contains("side-open") && !event.target.closest("#side, #menu")) toggleSide(false);
});
window.addEventListener("hashchange", () => screen.restore());

const wanted = new URLSearchParams(location.search).get("as") ?? localStorage.getItem("as") ?? "admin";
await store.become(wanted).catch(() => store.become("admin"));
screen.restore();
if (localStorage.getItem("protocol")) toggleProtocol(true);
