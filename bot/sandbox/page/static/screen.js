/** Which place is open on this page, and what was said here to the member alone. The address keeps the place. */

import { store } from "./store.js";

class Screen extends EventTarget {
  constructor() {
    super();
    this.channel = "";
    this.thread = "";
    this.tab = "messages"; // of the app: home or messages
    /** What Slackbot would say: by channel and thread, gone with the page as in Slack. */
    this.asides = [];
  }

  /** Reads the place from the address: `#channel/thread`. */
  restore() {
    const [channel = "", thread = ""] = location.hash.slice(1).split("/");
    const known = store.channels.has(channel);
    this.channel = known ? channel : this.first();
    this.thread = known && store.messages.get(channel).has(thread) ? thread : "";
    this.tell();
  }

  first() {
    const all = [...store.channels.values()];
    return (all.find((each) => !each.is_im && !each.is_archived && each.members.includes(store.bot)) ?? all[0])?.id ?? "";
  }

  go(channel, thread = "") {
    this.channel = channel;
    this.thread = thread;
    this.tell();
  }

  show(tab) {
    this.tab = tab;
    this.tell();
  }

  /** Says something to the member alone, in Slackbot's name. */
  aside(text, channel = this.channel, thread = "") {
    this.asides.push({ ts: (Date.now() / 1000).toFixed(6), text, channel, thread, me: store.me });
    this.tell();
  }

  tell() {
    const query = new URLSearchParams({ as: store.myself.name });
    const hash = `#${this.channel}${this.thread ? `/${this.thread}` : ""}`;
    history.replaceState(null, "", `/?${query}${hash}`);
    this.dispatchEvent(new Event("change"));
  }

  get place() {
    return store.channels.get(this.channel);
  }
}

export const screen = new Screen();
