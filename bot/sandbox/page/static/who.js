/** The choice of who one is, and of light or dark. */

import { avatar, h, keep } from "./dom.js";
import { screen } from "./screen.js";
import { store } from "./store.js";

const root = document.getElementById("who");
const theme = document.getElementById("theme");

const shown = h("span", { class: "who-shown" });
const opener = h("button", { type: "button", class: "quiet", "aria-haspopup": "menu", title: "Be somebody else", on: { click: open } }, shown);
const menu = h("div", { class: "menu people", role: "menu", popover: "auto", "aria-label": "Who you are" });
root.append(opener, menu);

const role = (member) => (member.is_admin ? "admin" : member.is_guest ? "guest" : member.is_stranger ? "of another workspace" : "");

/** Draws who one is. */
export function drawWho() {
  const me = store.myself;
  keep(shown, [avatar(me, "small"), h("span", { class: "wide", text: me.real_name })]);
  opener.setAttribute("aria-label", `You are ${me.real_name}. Be somebody else`);
}

function open() {
  const people = [...store.members.values()].filter((member) => !member.is_bot && !member.deleted);
  menu.replaceChildren(...people.map((member) => {
    const groups = [...store.usergroups.values()].filter((group) => group.users.includes(member.id)).map((group) => `@${group.handle}`);
    const what = [`@${member.name}`, role(member), ...groups].filter(Boolean).join(" · ");
    const item = h("button", { type: "button", role: "menuitemradio", "aria-checked": String(member.id === store.me), "data-member": member.name },
      avatar(member, "small"), h("span", {}, h("b", { text: member.real_name }), h("small", { text: what }))); // prettier-ignore
    item.addEventListener("click", async () => {
      menu.hidePopover();
      localStorage.setItem("as", member.name);
      await store.become(member.name);
      screen.restore();
      opener.focus();
    });
    return item;
  })); // prettier-ignore
  menu.showPopover();
  const at = opener.getBoundingClientRect();
  menu.style.setProperty("top", `${at.bottom + 6}px`);
  menu.style.setProperty("left", `${Math.max(4, at.right - menu.offsetWidth)}px`);
  menu.querySelector("[aria-checked=true]")?.focus();
}

menu.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const items = [...menu.children];
  items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
});

const dark = matchMedia("(prefers-color-scheme: dark)");

function drawTheme() {
  const kept = localStorage.getItem("theme");
  const isDark = kept ? kept === "dark" : dark.matches;
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  theme.replaceChildren(h("span", { "aria-hidden": "true", text: isDark ? "☀" : "☾" }), h("span", { class: "wide", text: isDark ? " Light" : " Dark" }));
  theme.setAttribute("aria-label", isDark ? "Light colours" : "Dark colours");
}

theme.addEventListener("click", () => {
  localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  drawTheme();
});
dark.addEventListener("change", drawTheme);
drawTheme();
