// A Worker with a service binding to the app's, as vinext-worker has: it calls what visitors cannot reach, and shows as JSON what
// came. It has no cache: each question is answered with no entry.

export default {
  async fetch(request, { PAGES }) {
    const { call, url, method, headers, body, offer = "", entries = {}, unruled: isUnruled = false, replay } = await request.json();
    const asked = () => new Request(url, { method, headers, body, redirect: "manual" });
    if (call === "render") return shown({ kept: keptOf(await PAGES.render(asked())) });
    if (call === "replay") return shown({ kept: keptOf(await PAGES.replay(replay)) });
    const questions = [];
    let answer = await PAGES.serve(asked(), offer);
    let about = JSON.parse(answer.about);
    while (about.asks) {
      const { path, part } = about.asks;
      questions.push(about.asks);
      answer = await answer.resume(JSON.stringify({ path, part, ...(entries[`${path} ${part}`] ?? { isUnruled }) }));
      about = JSON.parse(answer.about);
    }
    const { response } = answer;
    const first = { status: response.status, headers: [...response.headers], body: await response.text() };
    const kept = about.made ? keptOf(await answer.admitted()) : undefined;
    return shown({ questions, about, response: first, kept });
  },
};

function keptOf(kept) {
  if (!kept) return null;
  return { status: kept.status, headers: JSON.parse(kept.headers), ...texts({ body: kept.body, payload: kept.payload, document: kept.document }) };
}

function texts(buffers) {
  return Object.fromEntries(Object.entries(buffers).map(([name, buffer]) => [name, buffer ? new TextDecoder().decode(buffer) : null]));
}

function shown(value) {
  return Response.json(value);
}
