/** Channels on the left: with marks where something is new, and by the arrow keys. */

import { h, keep } from "./dom.js";
import { screen } from "./screen.js";
import { store } from "./store.js";

const side = document.getElementById("side");
const menu = document.getElementById("menu");

/** How many messages of others came since the member last looked. */
export function unread(channel) {
  const seen = store.read[channel] ?? "";
  const fresh = store.log(channel).filter((message) => message.ts > seen && message.user !== store.me);
  return fresh.filter((message) => !message.thread_ts || message.thread_ts === message.ts || message.is_broadcast).length;
}

const entries = new Map();

function entry(channel, label, sign) {
  if (!entries.has(channel.id)) {
    const made = h("a", { href: `#${channel.id}`, "data-channel": channel.id }, h("span", { class: "sign", "aria-hidden": "true" }), h("bdi", { class: "name" }), h("span", { class: "count" }));
    made.addEventListener("click", (event) => {
      event.preventDefault();
      choose(channel.id);
    });
    entries.set(channel.id, made);
  }
  const element = entries.get(channel.id);
  const current = channel.id === screen.channel;
  const count = current ? 0 : unread(channel.id);
  const [signAt, nameAt, countAt] = element.children;
  signAt.textContent = sign;
  nameAt.textContent = label;
  countAt.textContent = count ? String(Math.min(count, 99)) : "";
  countAt.setAttribute("aria-label", count ? `${count} new` : "");
  element.className = `${current ? "current" : ""} ${count ? "unread" : ""} ${channel.is_archived ? "archived" : ""}`.trim();
  if (current) element.setAttribute("aria-current", "page");
  else element.removeAttribute("aria-current");
  element.tabIndex = current ? 0 : -1;
  return element;
}

/** Opens a channel; on a phone the list goes away. */
export function choose(channel) {
  screen.go(channel);
  toggle(false);
}

const headings = new Map();

function heading(text) {
  if (!headings.has(text)) headings.set(text, h("h2", { text }));
  return headings.get(text);
}

/** Draws the list. */
export function drawSidebar() {
  const all = [...store.channels.values()];
  const rooms = all.filter((channel) => !channel.is_im && !channel.is_archived);
  const archived = all.filter((channel) => channel.is_archived);
  const direct = all.filter((channel) => channel.is_im);
  const nodes = [
    heading("Channels"),
    ...rooms.map((channel) => entry(channel, channel.name, channel.is_private ? "🔒" : "#")),
    heading("Apps"),
    ...direct.map((channel) => entry(channel, store.member(store.bot).real_name, "⚙")),
  ];
  if (archived.length) nodes.push(heading("Archived"), ...archived.map((channel) => entry(channel, channel.name, "#")));
  keep(side, nodes);
}

/** On a narrow screen: shows or hides the list. */
export function toggle(open = !document.body.classList.contains("side-open")) {
  document.body.classList.toggle("side-open", open);
  menu.setAttribute("aria-expanded", String(open));
  if (open) side.querySelector(".current")?.focus();
}

/** Goes to the channel before or after, as Alt and the arrows do in Slack. */
export function step(by) {
  const links = [...side.querySelectorAll("a")];
  const at = links.findIndex((link) => link.dataset.channel === screen.channel);
  choose(links[(at + by + links.length) % links.length].dataset.channel);
}

menu.addEventListener("click", () => toggle());
side.addEventListener("keydown", (event) => {
  const links = [...side.querySelectorAll("a")];
  const at = links.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (to === undefined || !links[to]) return;
  event.preventDefault();
  screen.go(links[to].dataset.channel);
  links[to].focus();
});
document.addEventListener("keydown", (event) => {
  if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    step(event.key === "ArrowDown" ? 1 : -1);
  }
});
