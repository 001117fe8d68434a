/** What stands in an element: as the server takes it (an option's value, an id, a text, a list of these). */

import { store } from "./store.js";

const CHOSEN = [
  "selected_option", "selected_options", "selected_user", "selected_users", "selected_channel", "selected_channels",
  "selected_conversation", "selected_conversations", "selected_date", "selected_time", "selected_date_time",
  "value", "rich_text_value", "files",
]; // prettier-ignore
const INITIAL = [
  "initial_option", "initial_options", "initial_user", "initial_users", "initial_channel", "initial_channels",
  "initial_conversation", "initial_conversations", "initial_date", "initial_time", "initial_date_time", "initial_value",
]; // prettier-ignore

/** What the app put there at first, or null. */
export function initial(item, channel) {
  const name = INITIAL.find((each) => item[each] !== undefined);
  if (name) return taken(item, item[name]);
  if (item.default_to_current_conversation && channel) return item.type.startsWith("multi") ? [channel] : channel;
  return null;
}

/** What the server says was entered, or undefined when it says nothing. */
export function entered(item, entry) {
  if (!entry) return undefined;
  const name = CHOSEN.find((each) => entry[each] !== undefined);
  return name === undefined || entry[name] === null ? null : taken(item, entry[name]);
}

/** Options are named by their value, unless they came from the app: then they are all there is of them. */
function taken(item, value) {
  if (item.type.endsWith("external_select")) return value;
  if (Array.isArray(value)) return value.map((each) => (each?.text ? each.value : each));
  return value?.text ? value.value : value;
}

/** Is nothing there? */
export const isEmpty = (value) => value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0);

/** The choices of an element that has them at hand: `{value, label, description?, group?}`. */
export function choices(item) {
  if (item.options || item.option_groups) {
    const groups = item.option_groups ?? [{ options: item.options }];
    return groups.flatMap((group) => group.options.map((option) => choice(option, group.label?.text)));
  }
  if (item.type.endsWith("users_select")) return people();
  if (item.type.endsWith("channels_select")) return rooms((channel) => !channel.is_im && !channel.is_private);
  if (item.type.endsWith("conversations_select")) return rooms((channel) => fits(channel, item.filter));
  return [];
}

/** One option as a choice. `whole`: its value is the option itself, as the server needs it from the app. */
export const choice = (option, group, whole = false) => ({
  value: whole ? option : option.value,
  label: option.text.text,
  description: option.description?.text,
  url: option.url,
  group,
});

const people = () =>
  [...store.members.values()]
    .filter((member) => !member.deleted && !member.is_stranger)
    .map((member) => ({ value: member.id, label: member.real_name, description: `@${member.name}` }));

const rooms = (wanted) =>
  [...store.channels.values()]
    .filter((channel) => !channel.is_archived && wanted(channel))
    .map((channel) => ({ value: channel.id, label: channel.is_im ? store.member(store.bot).real_name : `#${channel.name}` }));

function fits(channel, filter) {
  const kind = channel.is_im ? "im" : channel.is_private ? "private" : "public";
  if (channel.is_im && filter?.exclude_bot_users) return false;
  return !filter?.include || filter.include.includes(kind);
}

/** What is wrong with an entry before it is sent, in Slack's words, or "". */
export function fault(block, value, control) {
  const item = block.element;
  if (isEmpty(value)) return block.optional ? "" : "Please complete this required field.";
  const text = typeof value === "string" ? value : "";
  if (item.min_length && text.length < item.min_length) return `Enter at least ${item.min_length} characters.`;
  if (item.max_length && text.length > item.max_length) return `Enter no more than ${item.max_length} characters.`;
  if (item.type === "number_input") return number(item, text);
  if (item.type === "email_text_input" && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text)) return "Enter a valid email address.";
  if (item.type === "url_text_input" && !/^[a-z][a-z0-9+.-]*:\/\/\S+$/i.test(text)) return "Enter a valid URL.";
  return control?.validity?.badInput ? "Enter a valid value." : "";
}

function number(item, text) {
  const value = Number(text);
  if (!text.trim() || Number.isNaN(value)) return "Enter a number.";
  if (!item.is_decimal_allowed && !Number.isInteger(value)) return "Enter a whole number.";
  if (item.min_value !== undefined && value < Number(item.min_value)) return `Enter a number of at least ${item.min_value}.`;
  if (item.max_value !== undefined && value > Number(item.max_value)) return `Enter a number of at most ${item.max_value}.`;
  return "";
}
