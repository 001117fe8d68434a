/** A box to choose from a list by typing, by mouse or by keys: every select of Block Kit (ARIA's combobox). */

import { h, keep, newId } from "./dom.js";

const TYPING = 200; // milliseconds after the last letter before somebody is asked

/**
 * @param {object} options
 * @param {(typed: string) => any[] | Promise<any[]>} options.offer the choices for what was typed
 * @param {any[]} options.chosen the choices that are made
 * @param {boolean} options.many may it be several?
 * @param {number} [options.most] of several
 * @param {string} options.placeholder
 * @param {string} options.label its name for those who do not see it
 * @param {boolean} options.remote is `offer` slow?
 * @param {(chosen: any[]) => void} options.choose
 */
export function picker({ offer, chosen, many, most = Infinity, placeholder, label, remote, choose }) {
  const listId = newId();
  const input = h("input", {
    type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", placeholder, "aria-label": label,
    "aria-expanded": "false", "aria-controls": listId, "aria-autocomplete": "list",
  }); // prettier-ignore
  const chips = h("span", { class: "chips" });
  const list = h("ul", { id: listId, role: "listbox", class: "listbox", popover: "manual", "aria-label": label });
  const box = h("span", { class: many ? "picker many" : "picker" }, chips, input, h("span", { class: "caret", "aria-hidden": "true", text: "▾" }), list);
  let shown = [];
  let current = -1;
  let asked = 0;
  let timer = 0;

  const same = (one, other) => JSON.stringify(one.value) === JSON.stringify(other.value);
  const isOpen = () => list.matches(":popover-open");

  function drawChosen() {
    if (!many) {
      input.value = chosen[0]?.label ?? "";
      return;
    }
    keep(chips, chosen.map((one) => h("span", { class: "chip" }, h("bdi", { text: one.label }), h("button", {
      type: "button", "aria-label": `Remove ${one.label}`, text: "×",
      on: { click: () => change(chosen.filter((other) => other !== one)) },
    })))); // prettier-ignore
    input.placeholder = chosen.length ? "" : placeholder;
  }

  function change(next) {
    chosen = next;
    drawChosen();
    choose(next);
  }

  async function look(typed) {
    const turn = ++asked;
    if (remote) note("Loading …");
    const found = await offer(typed);
    if (turn !== asked || !isOpen()) return;
    shown = found;
    current = shown.length ? 0 : -1;
    if (!shown.length) note("No result");
    else drawList();
  }

  function note(text) {
    shown = [];
    current = -1;
    list.replaceChildren(h("li", { class: "none", role: "presentation", text }));
  }

  function drawList() {
    const rows = [];
    let group;
    shown.forEach((one, index) => {
      if (one.group !== group) {
        group = one.group;
        if (group) rows.push(h("li", { class: "group", role: "presentation", text: group }));
      }
      const selected = chosen.some((other) => same(one, other));
      rows.push(h("li", {
        id: `${listId}-${index}`, role: "option", "aria-selected": String(selected), class: index === current ? "current" : "",
        on: { mousedown: (event) => { event.preventDefault(); take(one); } },
      }, h("bdi", { text: one.label }), one.description ? h("small", { text: one.description }) : null)); // prettier-ignore
    });
    list.replaceChildren(...rows);
    input.setAttribute("aria-activedescendant", current >= 0 ? `${listId}-${current}` : "");
    list.querySelector(".current")?.scrollIntoView({ block: "nearest" });
  }

  function open() {
    if (isOpen()) return;
    list.showPopover();
    place();
    window.addEventListener("scroll", place, true);
    input.setAttribute("aria-expanded", "true");
    look("");
  }

  function place() {
    const at = box.getBoundingClientRect();
    const below = window.innerHeight - at.bottom;
    const up = below < 220 && at.top > below;
    list.style.setProperty("left", `${Math.max(4, Math.min(at.left, window.innerWidth - 244))}px`);
    list.style.setProperty("min-width", `${at.width}px`);
    list.style.setProperty("top", up ? "auto" : `${at.bottom + 4}px`);
    list.style.setProperty("bottom", up ? `${window.innerHeight - at.top + 4}px` : "auto");
  }

  function close() {
    clearTimeout(timer);
    asked += 1;
    window.removeEventListener("scroll", place, true);
    if (isOpen()) list.hidePopover();
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    if (many) input.value = "";
    else drawChosen();
  }

  function take(one) {
    if (many) {
      const without = chosen.filter((other) => !same(one, other));
      if (without.length === chosen.length && chosen.length >= most) return;
      change(without.length === chosen.length ? [...chosen, one] : without);
      input.value = "";
      look("");
    } else {
      chosen = [one];
      close();
      change([one]);
    }
  }

  input.addEventListener("focus", () => input.select());
  input.addEventListener("click", open);
  input.addEventListener("blur", close);
  input.addEventListener("input", () => {
    open();
    clearTimeout(timer);
    timer = setTimeout(() => look(input.value), remote ? TYPING : 0);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isOpen()) return open();
      if (shown.length) current = (current + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % shown.length;
      drawList();
    } else if (event.key === "Enter") {
      event.preventDefault(); // a form is not sent by choosing
      if (!isOpen()) open();
      else if (current >= 0) take(shown[current]);
    } else if (event.key === "Escape" && isOpen()) {
      event.preventDefault();
      event.stopPropagation(); // the list closes, not the dialog around it
      close();
    } else if (event.key === "Backspace" && many && !input.value && chosen.length) {
      change(chosen.slice(0, -1));
    } else if (event.key === "Backspace" && !many && chosen.length && input.selectionEnd - input.selectionStart === input.value.length) {
      change([]);
    }
  });
  drawChosen();
  return box;
}

/** Filters choices that are at hand. */
export const among = (all) => (typed) => {
  const wanted = typed.trim().toLowerCase();
  return all.filter((one) => `${one.label} ${one.description ?? ""}`.toLowerCase().includes(wanted)).slice(0, 100);
};
