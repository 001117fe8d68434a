/**
 * Slack's mrkdwn, read into a tree. Pure: no element is made here, and no address is followed.
 *
 * A node is `{type, ...}`: text, bold, italic, strike (with `children`), code, pre, quote (`children`), link,
 * user, channel, usergroup, broadcast, emoji, date, break. What is not understood stays text.
 */

const LINK = /^(https?:\/\/|mailto:)/i;
const BARE = /^https?:\/\/[^\s<>|`*~]{1,3000}/i;
const MARKS = { "*": "bold", _: "italic", "~": "strike" };
const EMOJI = /^:([a-z0-9_'+-]{1,64})(?:::skin-tone-[2-6])?:/;
const REFERENCE = /^<([^<>\n]{1,3000})>/;

/** Slack's three entities, and no others. */
export const unescape = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

/** Reads a whole text. @param {string} source @returns {any[]} */
export function parse(source) {
  const nodes = [];
  let rest = source;
  while (rest) {
    const fence = /```([\s\S]+?)```/.exec(rest);
    const before = fence ? rest.slice(0, fence.index) : rest;
    if (before) nodes.push(...lines(fence ? before.replace(/\n$/, "") : before));
    if (!fence) break;
    nodes.push({ type: "pre", text: unescape(plain(fence[1].replace(/^\n|\n$/g, ""))) });
    rest = rest.slice(fence.index + fence[0].length).replace(/^\n/, "");
  }
  return nodes;
}

/** Lines that begin with `>` become a quote. */
function lines(source) {
  const nodes = [];
  let quoted = null;
  const all = source.split("\n");
  all.forEach((line, index) => {
    const found = /^(?:&gt;|>)\s?(.*)$/s.exec(line);
    if (found) {
      if (quoted) quoted.children.push({ type: "break" });
      else nodes.push((quoted = { type: "quote", children: [] }));
      quoted.children.push(...inline(found[1]));
      return;
    }
    if (index > 0 && !quoted) nodes.push({ type: "break" });
    quoted = null;
    nodes.push(...inline(line));
  });
  return nodes;
}

/** One line. `within`: the marks that are open, which do not open again. */
export function inline(source, within = "") {
  const nodes = [];
  let text = "";
  const flush = () => {
    if (text) nodes.push({ type: "text", text: unescape(text) });
    text = "";
  };
  let at = 0;
  while (at < source.length) {
    const rest = source.slice(at);
    const found = match(rest, source[at - 1], within);
    if (found) {
      flush();
      nodes.push(found.node);
      at += found.length;
    } else {
      text += source[at];
      at += 1;
    }
  }
  flush();
  return nodes;
}

function match(rest, before, within) {
  switch (rest[0]) {
    case "`": {
      const found = /^`([^`\n]+)`/.exec(rest);
      return found && { node: { type: "code", text: unescape(plain(found[1])) }, length: found[0].length };
    }
    case "<": {
      const found = REFERENCE.exec(rest);
      const node = found && reference(found[1]);
      return node && { node, length: found[0].length };
    }
    case ":": {
      const found = /\w/.test(before ?? "") ? null : EMOJI.exec(rest); // 10:30:00 is a time
      return found && { node: { type: "emoji", name: found[1] }, length: found[0].length };
    }
    case "h":
    case "H":
      return bare(rest, before);
    case "*":
    case "_":
    case "~":
      return styled(rest, before, within);
    default:
      return null;
  }
}

/** An address that stands in a text as it is, without the full stop that ends the sentence. */
function bare(rest, before) {
  const found = before === undefined || /[\s(]/.test(before) ? BARE.exec(rest) : null;
  const url = found?.[0].replace(/(?:[.,;:!?)'"]|&[lg]t;)+$/, "");
  return url && /^https?:\/\/./i.test(url) ? { node: { type: "link", url: unescape(url), text: unescape(url) }, length: url.length } : null;
}

/** `*bold*`: at a word's edge on both sides, nothing but text at its edges, on one line. */
function styled(rest, before, within) {
  const mark = rest[0];
  if (within.includes(mark) || (before !== undefined && /[\p{L}\p{N}]/u.test(before))) return null;
  const escaped = mark === "*" ? "\\*" : mark;
  const found = new RegExp(`^${escaped}(?!\\s|${escaped})([^\\n]{0,3000}?[^\\s${escaped}])${escaped}(?![\\p{L}\\p{N}])`, "u").exec(rest);
  if (!found) return null;
  return { node: { type: MARKS[mark], children: inline(found[1], within + mark) }, length: found[0].length };
}

/** What stands between `<` and `>`. */
function reference(inside) {
  const bar = inside.indexOf("|");
  const target = bar < 0 ? inside : inside.slice(0, bar);
  const label = bar < 0 ? "" : unescape(inside.slice(bar + 1));
  let found;
  if ((found = /^@([UWB][A-Z0-9]+)$/.exec(target))) return { type: "user", id: found[1], label };
  if ((found = /^#([CGD][A-Z0-9]+)$/.exec(target))) return { type: "channel", id: found[1], label };
  if ((found = /^!subteam\^(S[A-Z0-9]+)$/.exec(target))) return { type: "usergroup", id: found[1], label };
  if ((found = /^!(channel|here|everyone)$/.exec(target))) return { type: "broadcast", range: found[1] };
  if ((found = /^!date\^(\d{1,12})\^([^^]+)(?:\^(.+))?$/.exec(target)))
    return { type: "date", timestamp: Number(found[1]), format: found[2], url: found[3] ?? "", fallback: label };
  if (LINK.test(target)) return { type: "link", url: unescape(target), text: label || unescape(target).replace(/^mailto:/i, "") };
  return null;
}

/** Inside code a link is shown as its label, as Slack does. */
function plain(source) {
  return source.replace(/<([^<>\n]+)>/g, (whole, inside) => {
    const node = reference(inside);
    return node?.type === "link" ? node.text : whole;
  });
}
