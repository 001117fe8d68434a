/** Draws blocks and attachments. */

import { h, link, newId } from "./dom.js";
import { element } from "./elements.js";
import { picture } from "./pictures.js";
import { markdownBlock, richText, tableBlock } from "./richtext.js";
import { mrkdwn, plain, textObject } from "./text.js";

/** Blocks, one below the other. @param {import("./elements.js").Place} place */
export const blocks = (all, place) => h("div", { class: "blocks" }, ...all.map((block) => drawBlock(block, place)));

function drawBlock(block, place) {
  const draw = DRAW[block.type];
  const drawn = draw ? draw(block, place) : h("p", { class: "unsupported", text: `(a block of type ${block.type} is not drawn here)` });
  drawn.classList.add("block", `block-${block.type}`);
  return drawn;
}

const DRAW = {
  header: (block) => plainHeading(block),
  section,
  context: (block) => h("div", {}, ...block.elements.map((item) => (item.type === "image" ? picture(item, "tiny") : textObject(item, "span")))),
  divider: () => h("hr"),
  actions: (block, place) => h("div", {}, ...block.elements.map((item) => element(item, block, place))),
  context_actions: (block, place) => h("div", {}, ...block.elements.map((item) => element(item, block, place))),
  input,
  rich_text: richText,
  image: (block) => h("figure", {}, block.title ? h("figcaption", {}, plain(block.title.text, block.title.emoji !== false)) : null, picture(block)),
  file: (block) => h("div", { class: "file", text: `📄 Remote file ${block.external_id}` }),
  table: tableBlock,
  markdown: markdownBlock,
  video: (block) => h("div", { class: "file" }, link(block.title_url ?? block.video_url, plain(block.title.text)), h("small", { text: block.alt_text })),
};

function plainHeading(block) {
  const level = String(Math.min(6, (block.level ?? 1) + 2));
  return h(`h${level}`, { class: `level-${block.level ?? 1}` }, plain(block.text.text, block.text.emoji !== false));
}

function section(block, place) {
  const fields = block.fields?.length ? h("div", { class: "fields" }, ...block.fields.map((field) => textObject(field))) : null;
  const accessory = block.accessory ? h("div", { class: "accessory" }, element(block.accessory, block, place)) : null;
  return h("div", {}, h("div", { class: "body" }, block.text ? textObject(block.text) : null, fields), accessory);
}

function input(block, place) {
  const drawn = element(block.element, block, place);
  const id = newId();
  const hint = block.hint ? h("small", { class: "hint", id, text: block.hint.text }) : null;
  const control = drawn.matches("input, textarea") ? drawn : drawn.querySelector("input, textarea");
  const fault = h("p", { class: "fault", id: newId(), role: "alert", hidden: true });
  control?.setAttribute("aria-describedby", `${hint ? `${id} ` : ""}${fault.id}`);
  if (!block.optional) control?.setAttribute("aria-required", "true");
  if (block.element.focus_on_load) control?.setAttribute("autofocus", "");
  const label = h("div", { class: "label" }, plain(block.label.text, block.label.emoji !== false), block.optional ? h("small", { text: " (optional)" }) : null);
  return h("div", { "data-block": block.block_id }, label, drawn, fault, hint);
}

/** Shows what is wrong with an input, or that nothing is. */
export function showFault(root, blockId, text) {
  const row = [...root.querySelectorAll("[data-block]")].find((each) => each.dataset.block === blockId);
  if (!row) return null;
  const fault = row.querySelector(".fault");
  fault.textContent = text;
  fault.hidden = !text;
  row.classList.toggle("faulty", Boolean(text));
  const control = row.querySelector("input, textarea");
  control?.setAttribute("aria-invalid", String(Boolean(text)));
  return control;
}

/** An attachment: the old way to set something off by a coloured bar. */
export function attachment(given, place) {
  const rows = [
    given.pretext ? mrkdwn(given.pretext) : null,
    given.author_name ? h("div", { class: "by" }, given.author_link ? link(given.author_link, given.author_name) : given.author_name) : null,
    given.title ? h("div", { class: "title" }, given.title_link ? link(given.title_link, given.title) : given.title) : null,
    given.text && !given.blocks ? mrkdwn(given.text) : null,
    given.blocks ? blocks(given.blocks, place) : null,
    given.fields?.length ? h("div", { class: "fields" }, ...given.fields.map((field) => h("div", {}, h("b", { text: field.title ?? "" }), mrkdwn(field.value ?? "")))) : null,
    given.image_url ? picture({ image_url: given.image_url, alt_text: given.fallback ?? "" }) : null,
    given.footer ? h("small", { text: given.footer }) : null,
  ];
  const drawn = h("div", { class: "attachment" }, ...rows);
  const named = { good: "var(--good)", warning: "var(--warn)", danger: "var(--bad)" };
  const color = named[given.color] ?? (/^#?[0-9a-f]{6}$/i.test(given.color ?? "") ? `#${given.color.replace("#", "")}` : "");
  if (color) drawn.style.setProperty("border-left-color", color);
  return drawn;
}
