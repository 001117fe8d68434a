/** Asking the server. Every answer is JSON; a server that is gone is an answer too. */

/** @returns {Promise<any>} the answer of a GET. Throws when there is none. */
export async function get(path, query) {
  const answer = await fetch(`/page/${path}?${new URLSearchParams(query)}`);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/** @returns {Promise<any>} `{ok: true}`, or `{ok: false, text}` with what to tell the member. */
export async function post(path, body) {
  try {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`/page/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    return await answer.json();
  } catch {
    return { ok: false, text: "The sandbox does not answer. Is it still running?" };
  }
}
