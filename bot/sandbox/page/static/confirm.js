/** Confirm dialogs. */

import { h } from "./dom.js";
import { plain, textObject } from "./text.js";

/** Asks; true for yes. Esc and a click beside the dialog mean no. */
export function ask(confirm) {
  const dialog = document.getElementById("confirm");
  return new Promise((resolve) => {
    const yes = h("button", { type: "button", class: `button ${confirm.style === "danger" ? "danger" : "primary"}` }, plain(confirm.confirm.text));
    const no = h("button", { type: "button", class: "button" }, plain(confirm.deny.text));
    const title = h("h2", { id: "confirm-title" }, plain(confirm.title.text));
    dialog.setAttribute("aria-labelledby", "confirm-title");
    dialog.replaceChildren(title, textObject(confirm.text), h("footer", {}, no, yes));
    let answer = false;
    yes.addEventListener("click", () => {
      answer = true;
      dialog.close();
    });
    no.addEventListener("click", () => dialog.close());
    dialog.onclick = (event) => event.target === dialog && dialog.close();
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
    yes.focus();
  });
}
