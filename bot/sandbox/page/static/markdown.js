/**
 * The Markdown of markdown blocks, read into a tree. Pure. Beside the nodes of mrkdwn.js there are heading,
 * rule, list, item, paragraph and table. What is not understood stays text; HTML is text.
 */

const FENCE = /^ {0,3}```(\S*)\s*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(?:\[([ xX])\]\s+)?(.*)$/;
const DELIMITER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** Reads a whole text. @param {string} source @returns {any[]} */
export function parseMarkdown(source) {
  const nodes = [];
  const all = source.split("\n");
  let at = 0;
  while (at < all.length) {
    const line = all[at];
    const fence = FENCE.exec(line);
    if (fence) {
      const end = all.findIndex((other, index) => index > at && FENCE.exec(other)?.[1] === "");
      const last = end < 0 ? all.length : end;
      nodes.push({ type: "pre", text: all.slice(at + 1, last).join("\n") });
      at = last + 1;
    } else if (!line.trim()) {
      at += 1;
    } else if (HEADING.test(line)) {
      const [, marks, text] = HEADING.exec(line);
      nodes.push({ type: "heading", level: marks.length, children: inline(text) });
      at += 1;
    } else if (RULE.test(line)) {
      nodes.push({ type: "rule" });
      at += 1;
    } else if (/^ {0,3}>/.test(line)) {
      const end = until(all, at, (other) => !/^ {0,3}>/.test(other));
      const inner = all.slice(at, end).map((other) => other.replace(/^ {0,3}> ?/, ""));
      // Not a document of its own: quotes in quotes could be as deep as the text is long.
      nodes.push({ type: "quote", children: broken(inner) });
      at = end;
    } else if (ITEM.test(line)) {
      const end = until(all, at, (other) => !ITEM.test(other));
      nodes.push(list(all.slice(at, end)));
      at = end;
    } else if (line.includes("|") && DELIMITER.test(all[at + 1] ?? "") && all[at + 1].includes("-")) {
      const end = until(all, at + 2, (other) => !other.includes("|"));
      nodes.push(table(line, all[at + 1], all.slice(at + 2, end)));
      at = end;
    } else {
      const end = until(all, at + 1, (other) => !other.trim() || [FENCE, HEADING, RULE, ITEM, /^ {0,3}>/].some((start) => start.test(other)));
      nodes.push({ type: "paragraph", children: broken(all.slice(at, end)) });
      at = end;
    }
  }
  return nodes;
}

function until(all, from, stop) {
  let end = from;
  while (end < all.length && !stop(all[end])) end += 1;
  return end;
}

const broken = (all) => all.flatMap((line, index) => (index ? [{ type: "break" }, ...inline(line)] : inline(line)));

function list(all) {
  const items = all.map((line) => {
    const [, space, mark, box, text] = ITEM.exec(line);
    return { type: "item", indent: Math.min(8, Math.floor(space.length / 2)), ordered: /\d/.test(mark), done: box && box !== " ", box: box !== undefined, children: inline(text) };
  });
  return { type: "list", children: items };
}

function table(head, delimiter, rows) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => inline(cell.trim().replaceAll("\\|", "|")));
  const aligns = delimiter.trim().replace(/^\||\|$/g, "").split("|").map((cell) => {
    const [left, right] = [cell.trim().startsWith(":"), cell.trim().endsWith(":")];
    return left && right ? "center" : right ? "right" : "left";
  });
  return { type: "table", aligns, rows: [cells(head), ...rows.map(cells)] };
}

const MARKS = [
  ["**", "bold"],
  ["__", "bold"],
  ["~~", "strike"],
  ["*", "italic"],
  ["_", "italic"],
];

/** One line. */
function inline(source, within = []) {
  const nodes = [];
  let text = "";
  let at = 0;
  while (at < source.length) {
    const found = match(source.slice(at), source[at - 1], within);
    if (!found) {
      text += source[at];
      at += 1;
      continue;
    }
    if (text) nodes.push({ type: "text", text });
    text = "";
    nodes.push(found.node);
    at += found.length;
  }
  if (text) nodes.push({ type: "text", text });
  return nodes;
}

function match(rest, before, within) {
  let found;
  if ((found = /^\\([\\`*_{}[\]()#+\-.!~|<>])/.exec(rest))) return { node: { type: "text", text: found[1] }, length: 2 };
  if ((found = /^(`+)(?!`)([^\n]*?[^`])\1(?!`)/.exec(rest))) return { node: { type: "code", text: found[2] }, length: found[0].length };
  if ((found = /^!?\[([^\][\n]{0,1000})\]\(([^\s()]{1,3000})(?:\s+"[^"\n]*")?\)/.exec(rest)))
    return { node: { type: "link", url: found[2], text: found[1] || found[2] }, length: found[0].length };
  if ((found = /^<?((?:https?:\/\/|mailto:)[^\s<>]{1,3000}[^\s<>.,;:!?)'"])>?/i.exec(rest)) && !/\w/.test(before ?? ""))
    return { node: { type: "link", url: found[1], text: found[1] }, length: found[0].length };
  if ((found = /^:([a-z0-9_'+-]{1,64}):/.exec(rest))) return { node: { type: "emoji", name: found[1] }, length: found[0].length };
  for (const [mark, type] of MARKS) {
    if (!rest.startsWith(mark) || within.includes(mark) || (mark.includes("_") && /\w/.test(before ?? ""))) continue;
    const end = rest.indexOf(mark, mark.length + 1);
    const inner = end > 0 ? rest.slice(mark.length, end) : "";
    if (!inner.trim() || /^\s|\s$/.test(inner)) continue;
    return { node: { type, children: inline(inner, [...within, mark]) }, length: end + mark.length };
  }
  return null;
}
