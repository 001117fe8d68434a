/** Making and keeping elements. Text goes in as text: nothing here parses markup. */

/**
 * An element. `props`: `class`, `text`, `on` (listeners), `style` (properties), everything else is an attribute;
 * true sets an empty attribute, false and undefined leave it out.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false || value === null) continue;
    if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name === "on") for (const [event, listen] of Object.entries(value)) element.addEventListener(event, listen);
    else if (name === "style") for (const [key, item] of Object.entries(value)) element.style.setProperty(key, item);
    else if (name === "value") element.value = value;
    else if (name.startsWith("on") || name === "srcdoc") throw new Error(`no attribute ${name}`);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Makes `nodes` the children of `parent` without moving those that stay where they are (focus survives). */
export function keep(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  let at = parent.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
}

/** An address that a click may lead to, or null: only what a browser opens without running it. */
export function safeUrl(url) {
  let parsed;
  try {
    parsed = new URL(url);
  } catch {
    return null;
  }
  return ["http:", "https:", "mailto:"].includes(parsed.protocol) ? parsed.href : null;
}

/** A link, or just its text when the address is not one to follow. */
export function link(url, ...children) {
  const href = safeUrl(url);
  if (href === null) return h("span", { class: "dead" }, ...children);
  return h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow", title: href }, ...children);
}

/** Calls `draw` once after everything that changes now has changed. */
export function soon(draw) {
  let planned = false;
  return () => {
    if (planned) return;
    planned = true;
    queueMicrotask(() => {
      planned = false;
      draw();
    });
  };
}

let ids = 0;

/** An id that no other element has. */
export const newId = () => `e${++ids}`;

/** A short name for people: the first letters of two words. */
export function initials(name) {
  const words = name.split(/\s+/).filter(Boolean);
  return words.slice(0, 2).map((word) => [...word][0].toUpperCase()).join("") || "?";
}

/** A picture of somebody: initials on a colour that belongs to the id. */
export function avatar(member, size = "") {
  if (member?.is_bot) return h("span", { class: `avatar bot ${size}`, "aria-hidden": "true", text: "M" });
  const id = member?.id ?? "";
  const hue = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);
  const text = initials(member?.real_name ?? "?");
  return h("span", { class: `avatar ${size}`, "aria-hidden": "true", text, style: { "--hue": String(hue) } });
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", month: "long", day: "numeric" });

/** The time of a ts, as an element. */
export function time(ts) {
  const date = new Date(Number(ts) * 1000);
  return h("time", { datetime: date.toISOString(), title: FULL.format(date), text: TIME.format(date) });
}

/** The day of a ts, in words. */
export function day(ts) {
  const date = new Date(Number(ts) * 1000);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : DAY.format(date);
}
