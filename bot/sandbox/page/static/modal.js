/** Modals: the top one of the member's views, in a dialog. */

import { post } from "./api.js";
import { blocks, showFault } from "./blocks.js";
import { h } from "./dom.js";
import { formValues, placeOf } from "./place.js";
import { screen } from "./screen.js";
import { store } from "./store.js";
import { plain } from "./text.js";
import { fault } from "./values.js";

const KEEP = 400; // milliseconds after the last letter before the server is told

const dialog = document.getElementById("modal");
let shown = null; // the view as it is drawn now

/** Draws the top view, or nothing. */
export function drawModal() {
  const view = store.views.at(-1) ?? null;
  if (view === shown) return;
  const focused = dialog.open ? document.activeElement?.closest("[data-action]")?.dataset.action : null;
  const another = view?.id !== shown?.id;
  shown = view;
  if (!view) {
    dialog.close();
    return;
  }
  const top = another ? 0 : (dialog.querySelector(".form")?.scrollTop ?? 0);
  dialog.replaceChildren(...content(view));
  dialog.setAttribute("aria-labelledby", "modal-title");
  if (!dialog.open) dialog.showModal();
  dialog.querySelector(".form").scrollTop = top;
  const again = focused && !another ? [...dialog.querySelectorAll("[data-action]")].find((each) => each.dataset.action === focused) : null;
  (again?.matches("input, textarea, button") ? again : again?.querySelector("input, textarea, button"))?.focus();
  if (another) (dialog.querySelector("[autofocus]") ?? dialog.querySelector(".form input, .form textarea, .form button, footer button"))?.focus();
}

function content(view) {
  let timer = 0;
  const complaint = h("p", { class: "complaint", role: "alert", hidden: true });
  const complain = (text) => {
    complaint.textContent = text;
    complaint.hidden = !text;
  };
  const place = placeOf(view.id, { view: view.id }, {
    channel: screen.channel, blocks: view.blocks, state: view.state.values, complain,
    redraw: () => { shown = null; drawModal(); },
    entered: (block) => {
      if (block.type === "input") showFault(dialog, block.block_id, "");
      clearTimeout(timer);
      timer = setTimeout(() => post("enter", { as: store.me, view: view.id, values: formValues(view.blocks, place.value) }), KEEP);
    },
  }); // prettier-ignore
  const form = h("div", { class: "form" }, blocks(view.blocks, place));
  const close = () => post("dismiss", { as: store.me, view: view.id });
  const submit = view.submit ? h("button", { type: "button", class: "button primary" }, plain(view.submit.text)) : null;

  async function send() {
    clearTimeout(timer);
    complain("");
    const faults = view.blocks.filter((block) => block.type === "input").map((block) => [block, fault(block, place.value(block, block.element), control(block))]);
    const controls = faults.map(([block, text]) => [showFault(dialog, block.block_id, text), text]);
    const first = controls.find(([, text]) => text);
    if (first) {
      first[0]?.focus();
      return;
    }
    submit.setAttribute("aria-busy", "true");
    submit.disabled = true;
    const answer = await post("submit", { as: store.me, view: view.id, values: formValues(view.blocks, place.value) });
    submit.removeAttribute("aria-busy");
    submit.disabled = false;
    if (answer.errors) {
      const found = Object.entries(answer.errors).map(([block, text]) => showFault(dialog, block, text));
      found[0]?.focus();
    } else if (!answer.ok) complain(answer.text);
  }

  const control = (block) => [...form.querySelectorAll("[data-block]")].find((row) => row.dataset.block === block.block_id)?.querySelector("input, textarea");
  submit?.addEventListener("click", send);
  dialog.oncancel = (event) => {
    event.preventDefault(); // the server closes it, here and in every other browser
    close();
  };
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.target.matches("input.field")) && !event.defaultPrevented && submit) {
      event.preventDefault();
      send();
    }
  });
  const back = store.views.length > 1 ? h("button", { type: "button", class: "icon", "aria-label": "Back", text: "←", on: { click: close } }) : null;
  return [
    h("header", {}, back, h("h2", { id: "modal-title" }, plain(view.title.text)), h("span", { class: "grow" }), h("button", { type: "button", class: "icon", "aria-label": "Close", text: "×", on: { click: close } })),
    form,
    h("footer", {}, complaint, h("button", { type: "button", class: "button", on: { click: close } }, plain(view.close?.text ?? "Close")), submit),
  ]; // prettier-ignore
}
