/** Draws rich_text, markdown and table blocks. */

import { h, link } from "./dom.js";
import { parseMarkdown } from "./markdown.js";
import { broadcast, channel, date, draw, drawEmoji, mention, usergroup } from "./text.js";

const STYLES = { code: "code", strike: "s", italic: "i", bold: "b", underline: "u" };

/** A rich_text block. */
export const richText = (block) => h("div", { class: "rich text", dir: "auto" }, ...block.elements.flatMap(part));

function part(element) {
  switch (element.type) {
    case "rich_text_section":
      return [h("div", {}, ...pieces(element.elements))];
    case "rich_text_list":
      return [list(element)];
    case "rich_text_preformatted":
      return [h("pre", { tabindex: "0" }, h("code", {}, ...pieces(element.elements)))];
    case "rich_text_quote":
      return [h("blockquote", {}, ...pieces(element.elements))];
    default:
      return [];
  }
}

function list({ style, indent = 0, offset = 0, border, elements }) {
  const items = elements.map((item) => h("li", {}, ...pieces(item.elements)));
  const tag = style === "ordered" ? "ol" : "ul";
  const props = { class: `indent-${indent}${border ? " border" : ""}`, start: tag === "ol" && offset ? offset + 1 : undefined };
  return h(tag, props, ...items);
}

const pieces = (elements) => elements.map(piece);

function piece(element) {
  switch (element.type) {
    case "text":
      return styled(document.createTextNode(element.text), element.style);
    case "link":
      return styled(link(element.url, element.text || element.url), element.style);
    case "emoji":
      return drawEmoji(element.name, element.unicode);
    case "user":
      return styled(mention(element.user_id), element.style);
    case "usergroup":
      return styled(usergroup(element.usergroup_id), element.style);
    case "channel":
      return styled(channel(element.channel_id), element.style);
    case "broadcast":
      return broadcast(element.range);
    case "date":
      return date({ ...element, fallback: element.fallback ?? "" });
    case "color":
      return h("code", {}, h("span", { class: "swatch", style: { "background-color": element.value } }), element.value);
    default:
      return document.createTextNode("");
  }
}

function styled(node, style = {}) {
  return Object.entries(STYLES).reduce((inner, [name, tag]) => (style?.[name] ? h(tag, {}, inner) : inner), node);
}

/** A table block: the first row is the head. */
export function tableBlock({ rows, column_settings: settings = [] }) {
  const cell = (tag) => (item, index) => {
    const column = settings[index] ?? {};
    const props = { class: `${column.align ?? "left"}${column.is_wrapped ? " wrapped" : ""}`, scope: tag === "th" ? "col" : undefined, dir: "auto" };
    return h(tag, props, tableCell(item));
  };
  return framed(rows.map((row, index) => row.map(cell(index ? "td" : "th"))));
}

function tableCell(item) {
  if (item.type === "rich_text") return richText(item);
  return item.type === "raw_number" ? item.text ?? String(item.value) : item.text;
}

function framed([head, ...body]) {
  const rows = body.map((cells) => h("tr", {}, ...cells));
  const table = h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows));
  return h("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" }, table);
}

/** A markdown block. */
export const markdownBlock = (block) =>
  h("div", { class: "markdown text", dir: "auto" }, ...parseMarkdown(block.text).map(markdownNode));

function markdownNode(node) {
  switch (node.type) {
    case "heading":
      return h(`h${Math.min(6, node.level + 2)}`, { class: `level-${node.level}` }, ...draw(node.children));
    case "rule":
      return h("hr");
    case "paragraph":
      return h("p", {}, ...draw(node.children));
    case "list":
      return h("ul", { class: "marked" }, ...numbered(node.children));
    case "table":
      return framed(node.rows.map((row, at) => row.map((cell, index) => h(at ? "td" : "th", { class: node.aligns[index] ?? "left" }, ...draw(cell)))));
    default:
      return draw([node])[0];
  }
}

function numbered(items) {
  const counts = [];
  return items.map((item) => {
    counts.length = item.indent + 1;
    counts[item.indent] = (counts[item.indent] ?? 0) + 1;
    const mark = item.box ? (item.done ? "☑" : "☐") : item.ordered ? `${counts[item.indent]}.` : "•";
    return h("li", { class: `indent-${item.indent}` }, h("span", { class: "mark", text: mark }), h("span", {}, ...draw(item.children)));
  });
}
