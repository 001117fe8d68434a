/** The app's own place: its Home tab and its messages. */

import { post } from "./api.js";
import { blocks } from "./blocks.js";
import { h, keep } from "./dom.js";
import { placeOf } from "./place.js";
import { screen } from "./screen.js";
import { store } from "./store.js";

const tabs = document.getElementById("tabs");
const panel = document.getElementById("home");
let shown = null;
let opened = ""; // who opened which tab last: the app is told once

const tab = (name, text) => {
  const made = h("button", { type: "button", role: "tab", id: `tab-${name}`, text });
  made.addEventListener("click", () => screen.show(name));
  return made;
};
const buttons = { home: tab("home", "Home"), messages: tab("messages", "Messages") };
keep(tabs, Object.values(buttons));
panel.setAttribute("aria-labelledby", "tab-home");
tabs.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  screen.show(screen.tab === "home" ? "messages" : "home");
  buttons[screen.tab].focus();
});

/** Draws the tabs and the Home tab; true when that is what is to be seen. */
export function drawHome() {
  const isApp = Boolean(screen.place?.is_im);
  const atHome = isApp && store.homeTab && screen.tab === "home";
  tabs.hidden = !isApp || !store.homeTab;
  panel.hidden = !atHome;
  for (const [name, button] of Object.entries(buttons)) {
    button.setAttribute("aria-selected", String(screen.tab === name));
    button.tabIndex = screen.tab === name ? 0 : -1;
  }
  const now = isApp ? `${store.me} ${screen.tab}` : "";
  if (now && now !== opened) tell(screen.tab);
  opened = now;
  if (atHome && shown !== store.home) draw();
  return atHome;
}

async function tell(name) {
  const answer = await post("home", { as: store.me, tab: name });
  if (!answer.ok) screen.aside(answer.text);
}

function draw() {
  shown = store.home;
  if (!shown) {
    panel.replaceChildren(h("p", { class: "empty", text: "The app has shown nothing here yet." }));
    return;
  }
  const place = placeOf(shown.id, { view: shown.id }, {
    channel: screen.channel, blocks: shown.blocks, state: shown.state.values,
    redraw: draw, complain: (text) => { screen.show("messages"); screen.aside(text); },
  }); // prettier-ignore
  panel.replaceChildren(blocks(shown.blocks, place));
}
