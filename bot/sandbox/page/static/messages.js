/** Draws messages: one, and a list of them that keeps what did not change. */

import { attachment, blocks } from "./blocks.js";
import { avatar, day, h, keep, time } from "./dom.js";
import { sharedFile } from "./pictures.js";
import { placeOf } from "./place.js";
import { screen } from "./screen.js";
import { store } from "./store.js";
import { drawEmoji, mrkdwn } from "./text.js";

const TOGETHER = 300; // seconds within which messages of one author stand together
const NEAR = 80; // pixels from the end that count as being at the end

/** A list of messages in `root`. @param {{inThread: boolean}} kind */
export class MessageList {
  constructor(root, { inThread }) {
    this.root = root;
    this.inThread = inThread;
    /** @type {Map<string, {message: any, key: string, element: HTMLElement}>} */
    this.drawn = new Map();
    this.shown = "";
    this.atEnd = true;
    root.addEventListener("scroll", () => {
      this.atEnd = root.scrollHeight - root.scrollTop - root.clientHeight < NEAR;
    });
    // A panel that opens, a phone that is turned, a picture that arrives: the newest stays in sight.
    new ResizeObserver(() => this.follow()).observe(root);
    root.addEventListener("load", () => this.follow(), true);
  }

  follow() {
    if (this.atEnd) this.root.scrollTop = this.root.scrollHeight;
  }

  /** Draws them anew when another list is meant. */
  draw(name, messages) {
    const moved = this.shown !== name;
    if (moved) {
      this.drawn.clear();
      this.shown = name;
    }
    this.atEnd ||= moved;
    const nodes = [];
    let before = null;
    for (const message of messages) {
      if (!before || day(before.ts) !== day(message.ts)) {
        if (!this.inThread) nodes.push(this.divider(day(message.ts)));
        before = null;
      }
      const element = this.element(message);
      element.classList.toggle("continued", follows(before, message));
      nodes.push(element);
      before = message;
    }
    if (!messages.length) nodes.push(this.divider("", "Nothing was said here yet."));
    keep(this.root, nodes);
    this.follow();
  }

  divider(label, text = label) {
    const key = `divider ${text}`;
    const element = this.drawn.get(key)?.element ?? h("div", { class: label ? "day" : "empty", role: "separator", "aria-label": text }, h("span", { text }));
    this.drawn.set(key, { message: null, key, element });
    return element;
  }

  element(message) {
    const replies = this.inThread || message.is_aside ? [] : store.replies(message.channel, message.ts);
    const key = `${replies.length} ${replies.at(-1)?.ts ?? ""} ${replies.map((reply) => reply.user).join()}`;
    const known = this.drawn.get(message.ts);
    if (known?.message === message && known.key === key) return known.element;
    const element = this.make(message, replies);
    this.drawn.set(message.ts, { message, key, element });
    const focused = known?.element.contains(document.activeElement) ? document.activeElement.closest("[data-action]")?.dataset.action : null;
    if (known) known.element.replaceWith(element);
    if (focused) [...element.querySelectorAll("[data-action]")].find((each) => each.dataset.action === focused)?.focus();
    return element;
  }

  make(message, replies) {
    const author = message.is_aside ? { id: "slackbot", real_name: "Slackbot" } : store.member(message.user);
    const place = placeOf(`${message.channel}/${message.ts}`, { channel: message.channel, ts: message.ts }, {
      channel: message.channel,
      redraw: () => {
        this.drawn.delete(message.ts);
        store.tell("redraw");
      },
      complain: (text) => screen.aside(text, message.channel, this.inThread ? screen.thread : ""),
    }); // prettier-ignore
    const head = h("div", { class: "head" },
      h("bdi", { class: "author", text: message.username ?? author.real_name }),
      author.is_bot || message.is_aside ? h("span", { class: "badge", text: "app" }) : author.is_guest ? h("span", { class: "badge", text: "guest" }) : null,
      time(message.ts),
    ); // prettier-ignore
    const body = h("div", { class: "content" }, ...content(message, place));
    if (message.edited) body.append(h("small", { class: "edited", title: "This message was changed", text: "(edited)" }));
    const private_ = message.is_ephemeral || message.is_aside ? h("div", { class: "private" }, h("span", { "aria-hidden": "true", text: "👁 " }), "Only visible to you") : null;
    const pinned = message.pinned_to ? h("div", { class: "pinned" }, "📌 Pinned") : null;
    const fromThread = !this.inThread && message.thread_ts && message.thread_ts !== message.ts ? h("div", { class: "pinned" }, "replied to a thread") : null;
    const element = h("article", { class: private_ ? "message ephemeral" : "message", "data-ts": message.ts, "aria-label": `${author.real_name}` },
      h("div", { class: "gutter" }, avatar(author), time(message.ts)),
      h("div", { class: "main" }, private_, pinned, fromThread, head, body, reactions(message), this.replies(message, replies)),
    ); // prettier-ignore
    if (!this.inThread && !private_ && !message.thread_ts) element.append(this.replyButton(message));
    return element;
  }

  replies(message, replies) {
    if (!replies.length) return null;
    const people = [...new Set(replies.map((reply) => reply.user))].slice(0, 4);
    const text = replies.length === 1 ? "1 reply" : `${replies.length} replies`;
    const open = () => screen.go(message.channel, message.ts);
    return h("button", { type: "button", class: "replies", "data-action": "replies", on: { click: open } },
      ...people.map((id) => avatar(store.member(id), "small")), h("b", { text }), h("span", { class: "last" }, "Last reply ", time(replies.at(-1).ts))); // prettier-ignore
  }

  replyButton(message) {
    const open = () => screen.go(message.channel, message.ts);
    return h("button", { type: "button", class: "reply", "aria-label": "Reply in thread", title: "Reply in thread", text: "💬", on: { click: open } });
  }
}

function content(message, place) {
  const shown = message.blocks?.length ? [blocks(message.blocks, place)] : message.text ? [mrkdwn(message.text)] : [];
  for (const each of message.attachments ?? []) shown.push(attachment(each, place));
  for (const file of message.files ?? []) shown.push(sharedFile(file));
  return shown;
}

function reactions(message) {
  if (!message.reactions?.length) return null;
  const chips = message.reactions.map(({ name, users, count }) =>
    h("span", { class: "reaction", title: users.map((id) => store.member(id).real_name).join(", ") }, drawEmoji(name), ` ${count}`));
  return h("div", { class: "reactions" }, ...chips); // prettier-ignore
}

const follows = (before, message) =>
  Boolean(before) &&
  before.user === message.user &&
  before.username === message.username &&
  !before.is_ephemeral === !message.is_ephemeral &&
  !before.is_aside === !message.is_aside &&
  !message.pinned_to &&
  Number(message.ts) - Number(before.ts) < TOGETHER;
