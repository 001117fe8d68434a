/** Draws pictures and files. A picture of another host is not fetched: nothing leaves this machine. */

import { h, link } from "./dom.js";

/** An image element or block. */
export function picture(item, kind = "") {
  const url = item.image_url ?? (item.slack_file?.id ? `/files/${item.slack_file.id}/picture` : item.slack_file?.url ?? "");
  const address = new URL(url, location.href);
  if (address.protocol === "data:" || address.origin === location.origin)
    return h("img", { class: `picture ${kind}`, src: address.href, alt: item.alt_text, loading: "lazy" });
  return h("span", { class: `picture elsewhere ${kind}`, role: "img", "aria-label": item.alt_text, title: `${item.alt_text} — ${address.href}` },
    h("span", { "aria-hidden": "true", text: "🖼" }), kind === "" ? h("span", {}, item.alt_text, " ", link(address.href, "(not fetched)")) : null); // prettier-ignore
}

const UNITS = ["bytes", "kB", "MB", "GB"];

function size(bytes) {
  const step = bytes ? Math.min(3, Math.floor(Math.log10(bytes) / 3)) : 0;
  return `${Math.round(bytes / 1000 ** step)} ${UNITS[step]}`;
}

/** A file that was shared with a message. */
export function sharedFile(file) {
  const name = h("a", { href: file.url, download: file.name, text: file.title });
  const head = h("div", { class: "file-head" }, h("span", { "aria-hidden": "true", text: "📄" }), name, h("small", { text: size(file.size) }));
  if (file.is_picture) return h("figure", { class: "file" }, head, h("img", { class: "picture", src: file.url, alt: file.alt || file.title, loading: "lazy" }));
  if (file.preview === undefined) return h("div", { class: "file" }, head);
  const lines = file.preview.split("\n");
  const cut = file.is_cut || lines.length > 12;
  const text = lines.slice(0, 12).join("\n") + (cut ? "\n…" : "");
  return h("div", { class: "file" }, head, h("pre", { tabindex: "0" }, h("code", { text })));
}
