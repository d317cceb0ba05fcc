// The page: asks the server's API, and shows what it answers. No library, and no request to anywhere else.
"use strict";

const $ = (id) => document.getElementById(id);
const PAGE = 60;
const WORDS = { "very likely": "very likely", likely: "likely", maybe: "maybe", unlikely: "unlikely", "not known": "" };

const state = { hits: [], like: [], unlike: [], picture: null, offset: 0, more: false, at: -1, asked: 0, chosen: new Map() };

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

// --- the server ---------------------------------------------------------------------------------------------------

class Problem extends Error {
  constructor(status, said) {
    super(said.error || `the server answered ${status}`);
    this.status = status;
    this.hint = said.hint || "";
  }
}

async function call(address, options = {}) {
  const answer = await fetch(address, { credentials: "same-origin", ...options });
  if (answer.status === 401 && (await logIn())) return call(address, options);
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

const get = async (address) => (await call(address)).json();
const post = (address, body) =>
  call(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

let loggingIn = null;

function logIn() {
  loggingIn ||= new Promise((done) => {
    const dialog = $("login");
    dialog.querySelector("form").onsubmit = async (event) => {
      event.preventDefault();
      const answer = await fetch("/api/login", { method: "POST", body: new URLSearchParams({ token: $("token").value }) });
      if (answer.ok) {
        dialog.close();
        loggingIn = null;
        done(true);
      } else $("wrong").textContent = (await answer.json().catch(() => ({}))).error || "This is not the token.";
    };
    dialog.oncancel = (event) => event.preventDefault();
    dialog.showModal();
  });
  return loggingIn;
}

// --- asking -------------------------------------------------------------------------------------------------------

function filters() {
  const found = {};
  for (const [name, value] of new FormData($("filters"))) if (value) found[name] = value;
  if (found.near) found.near = found.near.replace(/km/, "").trim();
  if (found.everything) found.min_probability = 0;
  delete found.everything;
  return found;
}

function request(offset) {
  const text = $("query").value.trim();
  const lang = $("language").value;
  if (state.picture) {
    const form = new FormData();
    form.append("image", state.picture);
    for (const [name, value] of Object.entries({ ...filters(), limit: PAGE, offset })) form.append(name, value);
    if (text) form.append("q", text);
    if (lang) form.append("lang", lang);
    return ["/api/search/image", { method: "POST", body: form }];
  }
  const body = { ...filters(), limit: PAGE, offset, like: state.like, unlike: state.unlike };
  if (text) body.texts = [text];
  if (lang) body.lang = lang;
  return ["/api/search", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }];
}

async function search(offset = 0) {
  const text = $("query").value.trim();
  if (!text && !state.picture && !state.like.length) {
    say("Say what the picture shows, or drop a picture here.");
    show([], false);
    return;
  }
  const asked = ++state.asked;
  remember(); // before it is answered, so that one can go back meanwhile
  $("grid").setAttribute("aria-busy", "true");
  try {
    const [address, options] = request(offset);
    const answer = await (await call(address, options)).json();
    if (asked !== state.asked) return; // another one was asked since
    tell(answer);
    show(answer.hits, offset > 0);
    state.more = answer.more;
    $("more").hidden = !answer.more;
  } catch (problem) {
    if (asked === state.asked) fail(problem);
  } finally {
    if (asked === state.asked) $("grid").removeAttribute("aria-busy");
  }
}

function fail(problem) {
  say(problem.hint ? `${problem.message}: ${problem.hint}` : problem.message, true);
  show([], false);
  $("more").hidden = true;
}

function say(text, problem = false) {
  $("said").classList.toggle("problem", problem);
  $("said").replaceChildren(text);
}

function tell(answer) {
  const said = [];
  if (answer.hits.length || answer.offset) {
    const count = answer.total === null ? "the best" : `${answer.total.toLocaleString()} ${answer.total === 1 ? "match" : "matches"}`;
    said.push(element("strong", {}, count), ` among ${answer.searched.toLocaleString()}`);
  } else {
    const note = answer.note || "no good match";
    said.push(note[0].toUpperCase() + note.slice(1) + ".");
    if (answer.searched) said.push(" ", element("button", { class: "quiet", onclick: () => { $("filters").elements.everything.checked = true; search(); } }, "Show what fits best"));
  }
  const read = Object.keys(answer.lang_weights);
  if (read.length) {
    const names = read.map(languageName).join(", ");
    said.push(answer.lang_guessed ? ` · read as ${names}${answer.lang_sure ? "" : ", not surely"}` : ` · in ${names}`);
  }
  if (answer.missing) said.push(` · ${answer.missing.toLocaleString()} not encoded yet`);
  $("said").classList.remove("problem");
  $("said").replaceChildren(...said);
}

function languageName(code) {
  try {
    return new Intl.DisplayNames([code], { type: "language" }).of(code) || code;
  } catch {
    return code;
  }
}

// What is asked is in the address, so that it can be kept and gone back to; a picture cannot be.
function remember() {
  if (state.picture) return;
  const where = new URLSearchParams();
  if ($("query").value.trim()) where.set("q", $("query").value.trim());
  if ($("language").value) where.set("lang", $("language").value);
  for (const name of ["like", "unlike"]) if (state[name].length) where.set(name, state[name].join(","));
  for (const [name, value] of Object.entries(filters())) where.set(name, value);
  const address = `?${where}`;
  if (location.search !== address) history.pushState(null, "", address);
}

function recall() {
  const where = new URLSearchParams(location.search);
  $("query").value = where.get("q") || "";
  $("language").value = where.get("lang") || "";
  for (const name of ["like", "unlike"]) state[name] = (where.get(name) || "").split(",").filter(Boolean).map(Number).filter(Number.isSafeInteger);
  state.picture = null;
  for (const field of $("filters").elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") field.checked = where.has("min_probability");
    else field.value = where.get(field.name) || "";
  }
  chips();
  markMonth();
}

// --- what is shown ------------------------------------------------------------------------------------------------

const thumb = (hit, size = 320) => `/thumbs/${hit.item}?size=${size}${hit.second === null ? "" : `&t=${hit.second}`}`;

function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [h, m, s] = parts.map(String);
  return parts[0] ? `${h}:${m.padStart(2, "0")}:${s.padStart(2, "0")}` : `${m}:${s.padStart(2, "0")}`;
}

const fileName = (hit) => hit.path.split(/[\\/]/).pop();

function card(hit, place) {
  const words = WORDS[hit.words] ?? hit.words;
  const percent = hit.probability === null ? "" : `${Math.round(100 * hit.probability)} %`;
  const at = hit.second === null ? "" : clock(hit.second);
  const name = at ? `${fileName(hit)}, video, at ${at}` : fileName(hit);
  const tick = element("input", { type: "checkbox", class: "tick", "aria-label": `Select ${fileName(hit)}`, onchange: (event) => choose(hit, event.target.checked) });
  tick.checked = state.chosen.has(hit.item);
  const made = element("li", { "data-item": hit.item },
    element("button", { class: "hit", type: "button", onclick: () => ($("grid").classList.contains("selecting") ? toggle(hit) : view(place)) },
      element("span", { class: "frame" }, element("img", { src: thumb(hit), alt: name, loading: "lazy", decoding: "async" })),
      element("span", { class: "words" }, element("b", {}, words), element("span", {}, percent))),
    tick);
  if (at) made.append(element("span", { class: "badge" }, `▶ ${at}`));
  else if (hit.duplicates.length) made.append(element("span", { class: "badge" }, `+${hit.duplicates.length} alike`));
  if (tick.checked) made.classList.add("chosen");
  return made;
}

function show(hits, more) {
  if (!more) {
    state.hits = [];
    $("grid").replaceChildren();
  }
  const cards = hits.map((hit, place) => card(hit, state.hits.length + place));
  state.hits.push(...hits);
  $("grid").append(...cards);
}

function chips() {
  const made = [];
  const chip = (text, picture, drop) => made.push(element("span", { class: "chip" }, element("img", { src: picture, alt: "" }), text,
    element("button", { class: "quiet", type: "button", "aria-label": `Remove: ${text}`, onclick: drop }, "×")));
  const without = (name, item) => () => { state[name] = state[name].filter((each) => each !== item); chips(); search(); };
  for (const item of state.like) chip("like this", `/thumbs/${item}`, without("like", item));
  for (const item of state.unlike) chip("less like this", `/thumbs/${item}`, without("unlike", item));
  if (state.picture) chip(state.picture.name || "a picture", URL.createObjectURL(state.picture), () => { state.picture = null; chips(); search(); });
  $("chips").replaceChildren(...made);
  $("chips").hidden = !made.length;
}

// --- one picture --------------------------------------------------------------------------------------------------

async function view(place) {
  const hit = state.hits[place];
  if (!hit) return;
  state.at = place;
  const address = `/files/${hit.item}`;
  let shown;
  if (hit.kind === "video") {
    shown = element("video", { controls: true, autoplay: true, muted: true, playsinline: true, poster: thumb(hit, 1280), src: `${address}#t=${hit.second || 0}` });
  } else shown = element("img", { src: thumb(hit, 1280), alt: fileName(hit) });
  $("stage").replaceChildren(shown);
  $("name").textContent = fileName(hit);
  $("original").href = address;
  $("facts").replaceChildren();
  if (!$("viewer").open) $("viewer").showModal();
  try {
    facts(hit, await get(`/api/items/${hit.item}`));
  } catch (problem) {
    $("facts").replaceChildren(element("dd", {}, problem.message));
  }
}

function facts(hit, about) {
  const rows = [
    ["Match", `${hit.words}${hit.probability === null ? "" : ` (${Math.round(100 * hit.probability)} %)`}, cosine ${hit.score.toFixed(3)}`],
    [about.dated_by === "file" ? "Saved" : "Taken", about.taken === null ? "" : new Date(1000 * about.taken).toLocaleString(undefined, { timeZone: "UTC", dateStyle: "medium", timeStyle: "short" })],
    ["Camera", about.camera],
    ["Place", about.lat === null ? "" : `${about.lat.toFixed(4)}, ${about.lon.toFixed(4)}`],
    ["Size", about.width ? `${about.width} × ${about.height}` : ""],
    ["Length", about.duration === null ? "" : clock(about.duration)],
    ["Alike", hit.duplicates.length ? `${hit.duplicates.length} more` : ""],
    ["File", about.paths.join("\n")],
  ];
  $("facts").replaceChildren(...rows.filter(([, value]) => value).flatMap(([name, value]) => [element("dt", {}, name), element("dd", { dir: "auto" }, value)]));
}

function step(by) {
  const place = state.at + by;
  if (place >= 0 && place < state.hits.length) view(place);
}

function like(name) {
  const item = state.hits[state.at].item;
  $("viewer").close();
  if (name === "like") {
    state.like = [item];
    state.unlike = [];
    state.picture = null;
    $("query").value = "";
  } else if (!state.unlike.includes(item)) state.unlike.push(item);
  chips();
  search();
  scrollTo(0, 0);
}

// --- selecting ----------------------------------------------------------------------------------------------------

function choose(hit, chosen) {
  if (chosen) state.chosen.set(hit.item, hit);
  else state.chosen.delete(hit.item);
  const place = document.querySelector(`li[data-item="${hit.item}"]`);
  place?.classList.toggle("chosen", chosen);
  if (place) place.querySelector(".tick").checked = chosen;
  counted();
}

const toggle = (hit) => choose(hit, !state.chosen.has(hit.item));

function counted() {
  $("selection").hidden = !$("grid").classList.contains("selecting");
  $("count").textContent = `${state.chosen.size} selected`;
  for (const button of document.querySelectorAll("#selection button")) button.disabled = !state.chosen.size;
}

function selecting(on) {
  $("grid").classList.toggle("selecting", on);
  $("select-toggle").setAttribute("aria-pressed", on);
  if (!on) for (const hit of [...state.chosen.values()]) choose(hit, false);
  counted();
}

async function take(form) {
  try {
    const answer = await post("/api/export", { items: [...state.chosen.keys()], form });
    const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") || "")?.[1] || "pictures";
    const link = element("a", { href: URL.createObjectURL(await answer.blob()), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (problem) {
    say(problem.message, true);
  }
}

async function hide() {
  const items = [...state.chosen.keys()];
  try {
    await post("/api/hide", { items });
    selecting(false);
    await search();
    $("said").append(" · ", element("button", { class: "quiet", onclick: async () => { await post("/api/hide", { items, hidden: false }); search(); } }, `Undo hiding ${items.length}`));
  } catch (problem) {
    say(problem.message, true);
  }
}

// --- filters ------------------------------------------------------------------------------------------------------

function options(select, entries, name = (key) => key) {
  for (const [key, count] of entries) select.append(element("option", { value: key }, `${name(key)} (${count.toLocaleString()})`));
}

function timeline(months) {
  const entries = Object.entries(months);
  const most = Math.max(1, ...entries.map(([, count]) => count));
  $("timeline").hidden = entries.length < 2;
  $("timeline").replaceChildren(...entries.map(([month, count]) => {
    const bar = element("span");
    bar.style.height = `${Math.max(6, (100 * count) / most)}%`;
    return element("button", { type: "button", "data-month": month, "aria-pressed": "false", "aria-label": `${month}: ${count}`, title: `${month}: ${count}`, onclick: () => month_(month) }, bar);
  }));
}

function month_(month) {
  const { after, before } = $("filters").elements;
  const [year, number] = month.split("-").map(Number);
  const last = `${month}-${String(new Date(Date.UTC(year, number, 0)).getUTCDate()).padStart(2, "0")}`;
  const same = after.value === `${month}-01` && before.value === last;
  after.value = same ? "" : `${month}-01`;
  before.value = same ? "" : last;
  markMonth();
  search();
}

function markMonth() {
  const { after, before } = $("filters").elements;
  for (const button of $("timeline").children) {
    const inside = after.value && before.value && button.dataset.month >= after.value.slice(0, 7) && button.dataset.month <= before.value.slice(0, 7);
    button.setAttribute("aria-pressed", Boolean(inside));
  }
}

async function start() {
  try {
    const [languages, facets] = await Promise.all([get("/api/languages"), get("/api/facets")]);
    const named = languages.languages.map((code) => [code, languageName(code)]).sort((a, b) => a[1].localeCompare(b[1]));
    for (const [code, name] of named) $("language").append(element("option", { value: code, lang: code }, name));
    const { folder, camera } = $("filters").elements;
    const tops = Object.entries(facets.folders);
    options(folder, tops);
    options(camera, Object.entries(facets.cameras));
    timeline(facets.months);
    recall();
    if (location.search) await search();
    else say(`${facets.items.toLocaleString()} pictures and videos, in ${named.length === 1 ? "one language" : `${named.length} languages`}.`);
  } catch (problem) {
    fail(problem);
  }
}

// --- what people do -----------------------------------------------------------------------------------------------

$("ask").addEventListener("submit", (event) => { event.preventDefault(); search(); });
$("language").addEventListener("change", () => { if ($("query").value.trim()) search(); });
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("change", () => { markMonth(); if ($("filters").checkValidity()) search(); });
$("filters").addEventListener("reset", () => setTimeout(() => { markMonth(); search(); }));
$("filters-toggle").addEventListener("click", () => {
  $("filters").hidden = !$("filters").hidden;
  $("filters-toggle").setAttribute("aria-expanded", !$("filters").hidden);
});
$("select-toggle").addEventListener("click", () => selecting(!$("grid").classList.contains("selecting")));
$("none").addEventListener("click", () => { for (const hit of [...state.chosen.values()]) choose(hit, false); });
$("hide").addEventListener("click", hide);
for (const button of document.querySelectorAll("#selection [data-form]")) button.addEventListener("click", () => take(button.dataset.form));
$("more").addEventListener("click", () => search(state.hits.length));
$("similar").addEventListener("click", () => like("like"));
$("unlike").addEventListener("click", () => like("unlike"));
$("close").addEventListener("click", () => $("viewer").close());
$("before").addEventListener("click", () => step(-1));
$("after").addEventListener("click", () => step(1));
$("viewer").addEventListener("close", () => {
  $("stage").replaceChildren();
  document.querySelectorAll(".hit")[state.at]?.focus();
});
$("viewer").addEventListener("click", (event) => { if (event.target === $("viewer")) $("viewer").close(); });

$("picture").addEventListener("change", () => usePicture($("picture").files[0]));

function usePicture(file) {
  if (!file) return;
  state.picture = file;
  state.like = [];
  state.unlike = [];
  chips();
  search();
}

addEventListener("dragover", (event) => {
  if (![...event.dataTransfer.items].some((each) => each.kind === "file")) return;
  event.preventDefault();
  $("drop").hidden = false;
});
addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").hidden = true; });
addEventListener("drop", (event) => {
  $("drop").hidden = true;
  const [file] = event.dataTransfer.files;
  if (!file) return;
  event.preventDefault();
  usePicture(file);
});
addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file?.type.startsWith("image/")) usePicture(file);
});
addEventListener("popstate", () => { recall(); search(); });

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const writing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
  if ($("viewer").open) {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
    if (event.key === "s") like("like");
    return;
  }
  if (event.key === "/" && !writing) {
    event.preventDefault();
    $("query").select();
  } else if (!writing && event.target.classList.contains("hit")) walk(event);
});

// Arrows walk over the grid as it lies.
function walk(event) {
  const cards = [...document.querySelectorAll(".hit")];
  const place = cards.indexOf(event.target);
  const columns = getComputedStyle($("grid")).gridTemplateColumns.split(" ").length;
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -place, End: cards.length - 1 - place }[event.key];
  if (by !== undefined && cards[place + by]) {
    event.preventDefault();
    cards[place + by].focus();
  } else if (event.key === " " && $("grid").classList.contains("selecting")) {
    event.preventDefault();
    toggle(state.hits[place]);
  }
}

const dark = () => document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
$("theme").addEventListener("click", () => {
  const chosen = dark() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  localStorage.setItem("theme", chosen);
});
if (localStorage.getItem("theme")) document.documentElement.dataset.theme = localStorage.getItem("theme");

start();
