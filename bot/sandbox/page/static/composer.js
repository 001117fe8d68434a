/** The box where one writes. Enter sends, Shift+Enter breaks the line, the up arrow brings back what was sent. */

import { post } from "./api.js";
import { h } from "./dom.js";
import { screen } from "./screen.js";
import { store } from "./store.js";

const sent = JSON.parse(sessionStorage.getItem("sent") ?? "[]");
const KEPT = 50;

/** @param {{id: string, inThread: boolean}} kind */
export function composer({ id, inThread }) {
  const input = h("textarea", { id, rows: "1", dir: "auto", autocomplete: "off", spellcheck: "false" });
  const button = h("button", { type: "button", class: "send", "aria-label": "Send", title: "Send", text: "➤" });
  const row = h("div", { class: "compose" }, input, button);
  const note = h("p", { class: "closed", hidden: true });
  let back = sent.length;

  function fit() {
    input.style.setProperty("height", "auto");
    input.style.setProperty("height", `${Math.min(input.scrollHeight, 200)}px`);
    button.disabled = !input.value.trim();
  }

  async function send() {
    const text = input.value.trim();
    if (!text) return;
    sent.push(text);
    sent.splice(0, sent.length - KEPT);
    sessionStorage.setItem("sent", JSON.stringify(sent));
    back = sent.length;
    input.value = "";
    fit();
    const { channel, thread } = screen;
    const answer = await post("send", { as: store.me, channel, text, ...(inThread ? { thread } : {}) });
    if (!answer.ok) screen.aside(answer.text, channel, inThread ? thread : "");
  }

  function recall(step) {
    const next = back + step;
    if (next < 0 || next > sent.length) return;
    back = next;
    input.value = sent[back] ?? "";
    fit();
  }

  input.addEventListener("input", fit);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && !event.altKey && (input.value === "" || input.value === sent[back])) {
      event.preventDefault();
      recall(-1);
    } else if (event.key === "ArrowDown" && !event.altKey && back < sent.length && input.value === sent[back]) {
      event.preventDefault();
      recall(1);
    }
  });
  button.addEventListener("click", send);

  /** Names the place, and says why nothing can be written there. */
  function draw(place) {
    const name = place.is_im ? store.member(store.bot).real_name : `#${place.name}`;
    input.placeholder = inThread ? "Reply …" : `Message ${name}`;
    input.setAttribute("aria-label", inThread ? "Reply in the thread" : `Message ${name}`);
    const why = place.is_archived ? "This channel is archived: nothing can be written here." : "";
    row.hidden = Boolean(why);
    note.hidden = !why;
    note.textContent = why;
    fit();
  }

  return { root: h("div", {}, row, note), draw, focus: () => input.focus() };
}
