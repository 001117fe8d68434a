/** Draws texts: the trees of mrkdwn.js and markdown.js, and text objects. */

import { h, link } from "./dom.js";
import { emoji, withEmoji } from "./emoji.js";
import { parse } from "./mrkdwn.js";
import { store } from "./store.js";

const TAGS = { bold: "b", italic: "i", strike: "s", quote: "blockquote" };

/** Nodes for a tree. @returns {Node[]} */
export const draw = (tree) => tree.map(drawNode);

/** A mrkdwn text in an element. What turns the direction of writing cannot reach out of it. */
export const mrkdwn = (text, tag = "div") => h(tag, { class: "text", dir: "auto" }, ...draw(parse(text)));

/** A plain text. */
export const plain = (text, useEmoji = true, tag = "span") =>
  h(tag, { class: "text", dir: "auto", text: useEmoji ? withEmoji(text) : text });

/** A text object: plain_text or mrkdwn. */
export function textObject(object, tag = "div") {
  if (object.type === "mrkdwn") return mrkdwn(object.text, tag);
  return plain(object.text, object.emoji !== false, tag);
}

/** One node of a tree. */
export function drawNode(node) {
  switch (node.type) {
    case "text":
      return document.createTextNode(node.text);
    case "break":
      return h("br");
    case "bold":
    case "italic":
    case "strike":
    case "quote":
      return h(TAGS[node.type], {}, ...draw(node.children));
    case "code":
      return h("code", { text: node.text });
    case "pre":
      return h("pre", { tabindex: "0" }, h("code", { text: node.text }));
    case "link":
      return link(node.url, node.text);
    case "user":
      return mention(node.id, node.label);
    case "channel":
      return channel(node.id, node.label);
    case "usergroup":
      return usergroup(node.id, node.label);
    case "broadcast":
      return broadcast(node.range);
    case "emoji":
      return drawEmoji(node.name);
    case "date":
      return date(node);
    default:
      throw new Error(`no node ${node.type}`);
  }
}

/** An emoji by its name. */
export function drawEmoji(name, unicode) {
  const shown = unicode ? fromCodes(unicode) : emoji(name);
  if (!shown) return h("span", { class: "emoji unknown", text: `:${name}:` });
  return h("span", { class: "emoji", role: "img", "aria-label": name.replaceAll("_", " "), title: `:${name}:`, text: shown });
}

function fromCodes(codes) {
  const points = codes.split("-").map((code) => Number.parseInt(code, 16));
  return points.every((point) => point > 0 && point <= 0x10ffff) ? String.fromCodePoint(...points) : "";
}

/** A member who is named in a text. */
export function mention(id, label = "") {
  const name = store.members.get(id)?.name ?? label;
  return h("span", { class: id === store.me ? "mention me" : "mention", title: store.member(id).real_name, text: `@${name || id}` });
}

/** A channel that is named in a text; a click goes there. */
export function channel(id, label = "") {
  const found = store.channels.get(id);
  if (!found) return h("span", { class: "mention", text: `#${label || "private-channel"}` });
  return h("a", { class: "mention", href: `#${id}`, text: `#${found.name}` });
}

/** A usergroup that is named in a text. */
export function usergroup(id, label = "") {
  const group = store.usergroups.get(id);
  const mine = group?.users.includes(store.me);
  return h("span", { class: mine ? "mention me" : "mention", text: group ? `@${group.handle}` : label || "@unknown-group" });
}

/** @channel, @here, @everyone: loud, for somebody meant everybody to hear it. */
export const broadcast = (range) => h("span", { class: "mention me", text: `@${range}` });

const DATES = {
  date_num: { dateStyle: "short" },
  date: { dateStyle: "long" },
  date_short: { dateStyle: "medium" },
  date_long: { dateStyle: "full" },
  date_pretty: { dateStyle: "long" },
  date_short_pretty: { dateStyle: "medium" },
  date_long_pretty: { dateStyle: "full" },
  time: { timeStyle: "short", hourCycle: "h23" },
  time_secs: { timeStyle: "medium", hourCycle: "h23" },
};

/** `<!date^…>`: a moment in the reader's own zone. */
export function date({ timestamp, format, url, fallback }) {
  const moment = new Date(timestamp * 1000);
  if (Number.isNaN(moment.getTime())) return document.createTextNode(fallback);
  const text = format.replace(/\{(\w+)\}/g, (whole, name) =>
    name in DATES ? new Intl.DateTimeFormat(undefined, DATES[name]).format(moment) : whole,
  );
  const shown = h("time", { datetime: moment.toISOString(), title: moment.toString(), text });
  return url ? link(url, shown) : shown;
}
