'use strict';
// What the server has written is all there is; this saves loading it again. Texts become text, never HTML.

const base = document.currentScript.dataset.base;
const find = (id) => document.getElementById(id);
// `.` and `..` would be steps
const part = (text) => (/^(\.{1,2}$|~)/.test(text) ? '~' : '') + encodeURIComponent(text).replaceAll('%3A', ':');

for (const hidden of document.querySelectorAll('[data-script]')) hidden.hidden = false;

// Parts of the page that change: loaded anew, and put in the place of the old ones.
let asked = 0;
async function renew(address) {
  const number = ++asked;
  let page;
  try {
    const answer = await fetch(address);
    if (!answer.ok || answer.redirected) return;
    page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  } catch { return; }
  // a later question has been asked meanwhile
  if (number !== asked) return;
  for (const old of document.querySelectorAll('[data-refresh]')) {
    const fresh = page.getElementById(old.id);
    if (!fresh) continue;
    for (const open of old.querySelectorAll('details[open][id]')) {
      const same = fresh.querySelector(`#${CSS.escape(open.id)}`);
      if (same) same.open = true;
    }
    if (old.innerHTML !== fresh.innerHTML) old.replaceChildren(...document.adoptNode(fresh).childNodes);
  }
  rates();
}

// Lines a second, from one look to the next.
const counts = new Map();
function rates() {
  const now = performance.now();
  for (const place of document.querySelectorAll('[data-rate]')) {
    const count = Number(place.dataset.count);
    const before = counts.get(place.dataset.rate);
    if (before && now - before.time > 500) {
      const rate = Math.max(0, (count - before.count) * 1000 / (now - before.time));
      counts.set(place.dataset.rate, { count, time: now, rate });
    } else if (!before) counts.set(place.dataset.rate, { count, time: now });
    const rate = counts.get(place.dataset.rate).rate;
    if (rate !== undefined) place.textContent = `(${rate.toFixed(rate < 10 ? 1 : 0)}/s)`;
  }
}
rates();

const changing = document.querySelector('[data-refresh]');
if (changing) {
  setInterval(() => {
    // nobody looks, or somebody is about to follow a link there
    if (document.hidden || changing.contains(document.activeElement)) return;
    renew(location.href);
  }, 5000);
}

// Searching while somebody types.
const search = document.querySelector('form[data-search]');
if (search) {
  let waiting;
  const go = () => {
    const fields = new URLSearchParams(new FormData(search));
    const address = `${search.action}?${fields}`;
    history.replaceState(null, '', address);
    renew(address);
  };
  search.addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(go, 200); });
  search.addEventListener('submit', (event) => { event.preventDefault(); clearTimeout(waiting); go(); });
}

// A file becomes the text of a field.
for (const file of document.querySelectorAll('input[data-into]')) {
  file.addEventListener('change', async () => {
    const [chosen] = file.files;
    file.setCustomValidity('');
    if (chosen && chosen.size > 3 << 20) {
      file.setCustomValidity('This is more than 3 MiB: choose less, such as the end of it.');
      file.reportValidity();
    } else if (chosen) find(file.dataset.into).value = await chosen.text();
  });
}

// Events as they happen.
const list = find('events');
if (list) {
  const most = 500;
  const pause = find('pause');
  const failures = find('failures');
  const state = find('state');
  const plain = find('event').content;
  let waiting = [];
  const paused = () => pause.getAttribute('aria-pressed') === 'true';
  const say = (text) => { if (state.textContent !== text) state.textContent = text; };

  const more = (event) => [
    event.failures > 0 && `after ${event.failures} failure${event.failures === 1 ? '' : 's'}`,
    event.by && `by ${event.by}`,
    event.origin_host && `by ${event.origin} ${event.origin_host}`,
    event.simulated && 'only said',
    event.count && `${event.count} events missed`,
    event.matches?.at(-1),
  ].filter(Boolean).join(', ');

  // what turns letters around or hides some is shown as an escape
  const shown = (text) => String(text ?? '').replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (letter) => { const code = letter.charCodeAt(0); return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`; });

  const row = (event) => {
    const fresh = document.importNode(plain.querySelector('tbody tr'), true);
    const cells = fresh.children;
    const time = new Date((event.time ?? Date.now() / 1000) * 1000);
    cells[0].textContent = time.toLocaleTimeString('en-GB');
    cells[1].textContent = shown(event.event);
    const link = (cell, page, text) => {
      cell.firstElementChild.textContent = shown(text);
      if (text) cell.firstElementChild.href = `${base}/${page}/${part(text)}`;
      else cell.replaceChildren();
    };
    link(cells[2], 'address', event.id);
    link(cells[3], 'jail', event.jail);
    cells[4].textContent = shown(more(event));
    return fresh;
  };

  const show = () => {
    if (paused()) return;
    const fresh = waiting.filter((event) => failures.checked || event.event !== 'Found').map(row).reverse();
    waiting = [];
    if (!fresh.length) return;
    if (!list.querySelector('table')) list.append(document.importNode(plain.querySelector('table'), true));
    const body = list.querySelector('tbody');
    if (!body.querySelector('td')?.textContent) body.replaceChildren();
    body.prepend(...fresh);
    while (body.children.length > most) body.lastElementChild.remove();
  };
  let due = 0;
  const take = (message) => {
    waiting.push(JSON.parse(message.data));
    if (waiting.length > most) waiting.shift();
    // many at once are shown at once
    due ||= setTimeout(() => { due = 0; show(); }, 100);
  };
  pause.addEventListener('click', () => {
    pause.setAttribute('aria-pressed', String(!paused()));
    show();
  });

  const stream = new EventSource(`${base}/api/v1/events`);
  for (const kind of ['Found', 'Ignore', 'Ban', 'Restore Ban', 'Already Banned', 'Increase Ban', 'Unban', 'Lost']) {
    stream.addEventListener(kind, take);
  }
  stream.addEventListener('open', () => say('Connected.'));
  stream.addEventListener('error', () => say('Not connected; trying again.'));
}
