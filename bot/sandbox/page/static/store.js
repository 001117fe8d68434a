/** What the member sees, as the server says it, kept up to date by the stream of changes. */

import { get } from "./api.js";

const FIRST_WAIT = 300; // milliseconds before the first attempt to connect again; doubled up to the last
const LAST_WAIT = 5000;

class Store extends EventTarget {
  constructor() {
    super();
    this.me = "";
    this.run = "";
    this.number = 0;
    this.members = new Map();
    this.usergroups = new Map();
    this.channels = new Map();
    /** @type {Map<string, Map<string, any>>} by channel, then by ts */
    this.messages = new Map();
    this.views = [];
    this.home = null;
    this.homeTab = false;
    this.read = {};
    this.bot = "";
    this.socket = null;
    this.wait = FIRST_WAIT;
    this.timer = 0;
    this.turn = 0;
  }

  /** Becomes that member: everything anew. */
  async become(name) {
    clearTimeout(this.timer);
    this.socket?.close();
    this.socket = null;
    const turn = ++this.turn;
    const state = await get("state", { as: name });
    if (turn !== this.turn) return; // meanwhile the member became somebody else
    this.take(state);
    this.follow();
  }

  take(state) {
    this.me = state.me;
    this.run = state.run;
    this.number = state.number;
    this.bot = state.bot;
    this.members = new Map(state.members.map((member) => [member.id, member]));
    this.usergroups = new Map(state.usergroups.map((group) => [group.id, group]));
    this.channels = new Map(state.channels.map((channel) => [channel.id, channel]));
    this.messages = new Map(state.channels.map((channel) => [channel.id, new Map()]));
    for (const message of state.messages) this.messages.get(message.channel).set(message.ts, message);
    this.views = state.views;
    this.home = state.home;
    this.homeTab = state.home_tab;
    this.read = state.read;
    this.tell("state");
  }

  follow() {
    const query = new URLSearchParams({ as: this.me, run: this.run, after: String(this.number) });
    const socket = new WebSocket(`ws://${location.host}/page/stream?${query}`);
    this.socket = socket;
    socket.addEventListener("message", (event) => {
      if (socket === this.socket) this.hear(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => {
      if (socket === this.socket) this.lose();
    });
  }

  lose() {
    this.tell("lost");
    this.timer = setTimeout(() => this.follow(), this.wait);
    this.wait = Math.min(this.wait * 2, LAST_WAIT);
  }

  /** Connects at once, for somebody who does not want to wait. */
  retry() {
    clearTimeout(this.timer);
    this.follow();
  }

  /** A member by id; somebody unknown is called by the id. */
  member(id) {
    return this.members.get(id) ?? { id, name: id, real_name: id };
  }

  get myself() {
    return this.member(this.me);
  }

  /** The messages of a channel, oldest first. */
  log(channel) {
    return [...(this.messages.get(channel)?.values() ?? [])].sort((a, b) => (a.ts < b.ts ? -1 : 1));
  }

  /** The replies to a message, oldest first. */
  replies(channel, ts) {
    return this.log(channel).filter((message) => message.thread_ts === ts && message.ts !== ts);
  }

  async hear(change) {
    if (change.number !== undefined) this.number = change.number;
    switch (change.kind) {
      case "hello":
        this.wait = FIRST_WAIT;
        this.tell("connected");
        return;
      case "reload":
        await this.become(this.me).catch(() => this.lose());
        return;
      case "message":
        this.put(change.message);
        break;
      case "deleted":
        this.messages.get(change.channel)?.delete(change.ts);
        break;
      case "channel":
        this.channels.set(change.channel.id, change.channel);
        for (const message of change.messages) this.put(message);
        break;
      case "view":
        if (change.view.type === "home") this.home = change.view;
        else if (this.views.some((view) => view.id === change.view.id))
          this.views = this.views.map((view) => (view.id === change.view.id ? change.view : view));
        else this.views = [...this.views, change.view];
        break;
      case "view_closed":
        this.views = this.views.filter((view) => view.id !== change.id);
        break;
      case "read":
        this.read[change.channel] = change.ts;
        break;
    }
    this.tell(change.kind, change);
  }

  put(message) {
    if (!this.messages.has(message.channel)) this.messages.set(message.channel, new Map());
    this.messages.get(message.channel).set(message.ts, message);
  }

  tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
    if (kind !== "protocol") this.dispatchEvent(new CustomEvent("change", { detail: kind }));
  }
}

export const store = new Store();
