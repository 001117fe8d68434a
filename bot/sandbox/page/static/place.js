/** Where elements stand: what is entered in a message, a modal or the Home tab, and how the app hears of it. */

import { post } from "./api.js";
import { store } from "./store.js";
import { entered, initial } from "./values.js";

/** What was entered and not sent yet: by place, then by block and action. Lives as long as this page. */
const drafts = new Map();

/**
 * @param {string} key what is drawn
 * @param {object} where how the server is told of it: `{channel, ts}` or `{view}`
 * @param {object} more
 * @param {string} more.channel
 * @param {any[]} [more.blocks] of a form, whose inputs go along with every click
 * @param {any} [more.state] what the server says was entered
 * @param {() => void} more.redraw
 * @param {(text: string) => void} more.complain
 * @param {(block: any, item: any, value: any) => void} [more.entered]
 * @returns {import("./elements.js").Place}
 */
export function placeOf(key, where, { channel, blocks = [], state = {}, redraw, complain, entered: heard }) {
  if (!drafts.has(key)) drafts.set(key, new Map());
  const draft = drafts.get(key);
  const name = (block, item) => `${block.block_id}/${item.action_id}`;
  const address = (block, item) => ({ as: store.me, ...where, block_id: block.block_id, action_id: item.action_id });
  const value = (block, item) => {
    if (draft.has(name(block, item))) return draft.get(name(block, item));
    const known = entered(item, state[block.block_id]?.[item.action_id]);
    return known === undefined ? initial(item, channel) : known;
  };
  return {
    channel,
    redraw: () => {
      draft.clear();
      redraw();
    },
    value,
    enter(block, item, given) {
      draft.set(name(block, item), given);
      heard?.(block, item, given);
    },
    async act(block, item, given) {
      const answer = await post("click", { ...address(block, item), value: given, values: formValues(blocks, value) });
      if (!answer.ok) complain(answer.text);
    },
    suggest: (block, item, typed) => post("suggest", { ...address(block, item), typed }),
  };
}

/** What stands in the inputs of a form, by block_id. */
export function formValues(blocks, value) {
  const inputs = blocks.filter((block) => block.type === "input");
  return Object.fromEntries(inputs.map((block) => [block.block_id, value(block, block.element)]));
}

/** Forgets what was entered there. */
export const forget = (key) => drafts.delete(key);
