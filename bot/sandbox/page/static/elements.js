/** Draws what members press, choose and type in: Block Kit's elements. */

import { post } from "./api.js";
import { ask } from "./confirm.js";
import { h, newId, safeUrl } from "./dom.js";
import { picture } from "./pictures.js";
import { among, picker } from "./picker.js";
import { plain, textObject } from "./text.js";
import { choice, choices, isEmpty } from "./values.js";

/**
 * Where an element stands.
 * @typedef {object} Place
 * @property {string} channel
 * @property {(block: any, item: any) => any} value what is entered now
 * @property {(block: any, item: any, value: any) => void} enter remembers an entry
 * @property {(block: any, item: any, value: any) => Promise<void>} act tells the app
 * @property {(block: any, item: any, typed: string) => Promise<any>} suggest asks the app for options
 * @property {() => void} redraw
 */

/** An element of a block. @param {Place} place */
export function element(item, block, place) {
  if (item.type === "image") return picture(item, "accessory");
  const draw = DRAW[item.type] ?? (item.type.endsWith("_select") ? select : unknown);
  const drawn = draw(item, block, place);
  drawn.dataset.action = `${block.block_id}/${item.action_id}`;
  return drawn;
}

const unknown = (item) => h("span", { class: "unsupported", text: `(${item.type} is not drawn here)` });
const labelOf = (item, block) => block.label?.text ?? item.placeholder?.text ?? block.text?.text ?? item.type.replaceAll("_", " ");

/** Takes an entry; the app hears of it at once, unless it stands in a form. */
async function take(item, block, place, value) {
  place.enter(block, item, value);
  if (block.type === "input" && !block.dispatch_action) return;
  if (item.confirm && !(await ask(item.confirm))) {
    place.redraw();
    return;
  }
  await place.act(block, item, value);
}

async function press(item, block, place, target) {
  if (target.getAttribute("aria-busy")) return;
  if (item.confirm && !(await ask(item.confirm))) return;
  const href = item.url && safeUrl(item.url);
  if (href) window.open(href, "_blank", "noopener,noreferrer");
  target.setAttribute("aria-busy", "true");
  await place.act(block, item, null);
  target.removeAttribute("aria-busy");
}

function button(item, block, place) {
  const drawn = h("button", { type: "button", class: `button ${item.style ?? ""}`, "aria-label": item.accessibility_label }, plain(item.text.text, item.text.emoji !== false));
  if (item.url) drawn.append(h("span", { class: "out", "aria-hidden": "true", text: "↗" }));
  drawn.addEventListener("click", () => press(item, block, place, drawn));
  return drawn;
}

function overflow(item, block, place) {
  const id = newId();
  const menu = h("div", { id, class: "menu", role: "menu", popover: "auto" });
  const opener = h("button", { type: "button", class: "button overflow", "aria-label": "More actions", "aria-haspopup": "menu", text: "⋯" });
  for (const option of item.options) {
    const entry = h("button", { type: "button", role: "menuitem" }, plain(option.text.text), option.description ? h("small", { text: option.description.text }) : null);
    entry.addEventListener("click", async () => {
      menu.hidePopover();
      const href = option.url && safeUrl(option.url);
      if (href) window.open(href, "_blank", "noopener,noreferrer");
      if (!item.confirm || (await ask(item.confirm))) await place.act(block, item, option.value);
    });
    menu.append(entry);
  }
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const entries = [...menu.children];
    entries[(entries.indexOf(document.activeElement) + step + entries.length) % entries.length].focus();
  });
  opener.addEventListener("click", () => {
    menu.showPopover();
    const at = opener.getBoundingClientRect();
    menu.style.setProperty("top", `${Math.min(at.bottom + 4, window.innerHeight - menu.offsetHeight - 8)}px`);
    menu.style.setProperty("left", `${Math.max(4, at.right - menu.offsetWidth)}px`);
    menu.firstElementChild.focus();
  });
  return h("span", {}, opener, menu);
}

function select(item, block, place) {
  const many = item.type.startsWith("multi_");
  const remote = item.type.endsWith("external_select");
  const value = place.value(block, item);
  const made = isEmpty(value) ? [] : many ? value : [value];
  const all = remote ? [] : choices(item);
  const chosen = made.map((one) => (one?.text ? choice(one, undefined, true) : all.find((each) => each.value === one) ?? { value: one, label: String(one) }));
  return picker({
    many,
    remote,
    chosen,
    most: item.max_selected_items,
    placeholder: item.placeholder?.text ?? (many ? "Choose some" : "Choose one"),
    label: labelOf(item, block),
    offer: remote ? (typed) => suggested(item, block, place, typed) : among(all),
    choose: (next) => take(item, block, place, many ? next.map((one) => one.value) : next[0]?.value ?? null),
  });
}

async function suggested(item, block, place, typed) {
  if (typed.length < (item.min_query_length ?? 3)) return [];
  const answer = await place.suggest(block, item, typed);
  const groups = answer.option_groups ?? [{ options: answer.options ?? [] }];
  return groups.flatMap((group) => group.options.map((option) => choice(option, group.label?.text, true)));
}

const boxes = (kind) => (item, block, place) => {
  const name = newId();
  const many = kind === "checkbox";
  const value = place.value(block, item);
  const checked = new Set(many ? value ?? [] : [value]);
  const rows = item.options.map((option) => {
    const input = h("input", { type: kind, name, checked: checked.has(option.value) });
    input.addEventListener("change", () => {
      if (many) input.checked ? checked.add(option.value) : checked.delete(option.value);
      const all = item.options.map((each) => each.value).filter((each) => checked.has(each));
      take(item, block, place, many ? all : option.value);
    });
    const description = option.description ? textObject(option.description, "small") : null;
    return h("label", { class: "box" }, input, h("span", {}, textObject(option.text, "span"), description));
  });
  return h("span", { role: many ? "group" : "radiogroup", class: "boxes", "aria-label": labelOf(item, block) }, ...rows);
};

const picked = (type, read = (text) => text || null, write = (value) => value ?? "") => (item, block, place) => {
  const input = h("input", { type, class: "field", "aria-label": labelOf(item, block), value: write(place.value(block, item)) });
  input.addEventListener("change", () => take(item, block, place, read(input.value)));
  return input;
};

const two = (number) => String(number).padStart(2, "0");

/** Seconds since 1970 as a local date and time, as `<input type="datetime-local">` has it. */
function local(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const at = new Date(seconds * 1000);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

const typed = (type) => (item, block, place) => {
  const tag = item.multiline ? "textarea" : "input";
  const value = place.value(block, item) ?? "";
  const input = h(tag, {
    class: "field", type: tag === "input" ? type : undefined, rows: item.multiline ? "4" : undefined,
    inputmode: item.type === "number_input" ? "decimal" : undefined, placeholder: item.placeholder?.text,
    "aria-label": labelOf(item, block), value, dir: "auto",
  }); // prettier-ignore
  const events = item.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  const tell = () => block.dispatch_action && place.act(block, item, input.value);
  let timer = 0;
  input.addEventListener("input", () => {
    place.enter(block, item, input.value || null);
    clearTimeout(timer);
    if (events.includes("on_character_entered")) timer = setTimeout(tell, 300);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || tag === "textarea") return;
    if (!block.dispatch_action) return;
    event.preventDefault();
    if (events.includes("on_enter_pressed")) tell();
  });
  return input;
};

/** A rich text is typed plainly: one section for each line. */
function richInput(item, block, place) {
  const sections = place.value(block, item)?.elements ?? [];
  const text = sections.map((section) => section.elements.map((piece) => piece.text ?? "").join("")).join("\n");
  const input = h("textarea", { class: "field", rows: "4", placeholder: item.placeholder?.text, "aria-label": labelOf(item, block), value: text });
  input.addEventListener("input", () => {
    const lines = input.value.split("\n").map((line) => ({ type: "rich_text_section", elements: line ? [{ type: "text", text: line }] : [] }));
    place.enter(block, item, input.value ? { type: "rich_text", elements: lines } : null);
  });
  return input;
}

function fileInput(item, block, place) {
  const accept = item.filetypes?.map((type) => `.${type}`).join(",");
  const input = h("input", { type: "file", class: "field", accept, multiple: (item.max_files ?? 10) > 1, "aria-label": labelOf(item, block) });
  const names = h("small", { text: (place.value(block, item) ?? []).map((file) => file.name).join(", ") });
  input.addEventListener("change", async () => {
    const chosen = [...input.files].slice(0, item.max_files ?? 10);
    names.textContent = "Uploading …";
    const answers = await Promise.all(chosen.map(async (file) => post("upload", { name: file.name, content: await base64(file) })));
    const files = answers.filter((answer) => answer.ok).map((answer) => answer.file);
    names.textContent = files.map((file) => file.name).join(", ");
    place.enter(block, item, files.length ? files : null);
  });
  return h("span", { class: "files" }, input, names);
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(String(reader.result).split(",")[1] ?? ""));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}

function feedback(item, block, place) {
  const one = ({ text, value, accessibility_label: label }) => {
    const drawn = h("button", { type: "button", class: "button", "aria-label": label }, plain(text.text));
    drawn.addEventListener("click", () => place.act(block, item, value));
    return drawn;
  };
  return h("span", { class: "pair" }, one(item.positive_button), one(item.negative_button));
}

function iconButton(item, block, place) {
  const drawn = h("button", { type: "button", class: "button", "aria-label": item.accessibility_label ?? item.text.text, title: item.text.text, text: "🗑" });
  drawn.addEventListener("click", () => press(item, block, place, drawn));
  return drawn;
}

const DRAW = {
  button,
  overflow,
  checkboxes: boxes("checkbox"),
  radio_buttons: boxes("radio"),
  datepicker: picked("date"),
  timepicker: picked("time"),
  datetimepicker: picked("datetime-local", (text) => (text ? Math.floor(new Date(text).getTime() / 1000) : null), local),
  plain_text_input: typed("text"),
  number_input: typed("text"),
  email_text_input: typed("email"),
  url_text_input: typed("url"),
  rich_text_input: richInput,
  file_input: fileInput,
  feedback_buttons: feedback,
  icon_button: iconButton,
};
