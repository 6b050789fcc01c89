"use strict";
// The page of freshwell's dashboard. Text from others goes into the page as text, never as markup.

const byId = (id) => document.getElementById(id);
const LOOKS = 180;
const looks = [];
let chosen = "";
let token = takeToken();
let charts = [];

function takeToken() {
  // Behind the number sign the token is sent to nobody; and it should not stay in the address.
  const given = decodeURIComponent(location.hash.slice(1));
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token") || "";
}

function asked(extra = {}) {
  const headers = { ...extra };
  if (token) headers.Authorization = `Bearer ${token}`;
  return headers;
}

function element(name, content = "", className = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = content;
  return made;
}

const number = (value, digits = 0) =>
  value === null || value === undefined
    ? "-"
    : value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });
const share = (value) => (value === null || value === undefined ? "-" : `${number(100 * value, 1)} %`);

const clock = (seconds) =>
  seconds === null || seconds === undefined ? "-" : new Date(1000 * seconds).toLocaleTimeString("en-GB");

function size(value) {
  const units = ["B", "KB", "MB", "GB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${number(value, unit && value < 10 ? 1 : 0)} ${units[unit]}`;
}

// -- what is seen -----------------------------------------------------------------------------

function summed(view) {
  const spaces = view.namespaces.filter((one) => !chosen || one.namespace === chosen);
  const processes = view.processes.filter((one) => !chosen || one.namespace === chosen);
  const total = (name) => spaces.reduce((sum, one) => sum + one[name], 0);
  const reads = total("reads_per_s");
  const slow = processes.map((one) => one.load_p99_s).filter((one) => one !== null);
  return {
    spaces, processes, reads,
    l1: total("hits_l1_per_s"), l2: total("hits_l2_per_s"), misses: total("misses_per_s"),
    ratio: reads ? (total("hits_l1_per_s") + total("hits_l2_per_s")) / reads : null,
    loads: total("loads_per_s"), stale: total("stale_per_s"), errors: total("errors_per_s"),
    shed: total("shed_per_s"), invalidations: total("invalidations_per_s"),
    entries: total("entries"), bytes: total("bytes"), silent: total("silent"),
    slow: slow.length ? Math.max(...slow) * 1000 : null,
  };
}

function show(view) {
  choices(view.namespaces.map((one) => one.namespace));
  const now = summed(view);
  byId("empty").hidden = view.namespaces.length > 0;
  const dead = now.spaces.flatMap((one) => one.journals).reduce((sum, one) => sum + one.dead, 0);
  const facts = [
    ["processes", number(now.processes.length)],
    ["reads per second", number(now.reads)],
    ["hit ratio", share(now.ratio)],
    ["loads per second", number(now.loads, 1)],
    ["entries in memory", number(now.entries)],
    ["memory", size(now.bytes)],
    ["memory silent in", number(now.silent), now.silent ? "bad" : ""],
    ["errors per second", number(now.errors, 1), now.errors ? "bad" : ""],
    ["dead letters", number(dead), dead ? "bad" : ""],
  ];
  byId("now").replaceChildren(...facts.map(([label, text, className]) => {
    const pair = document.createElement("div");
    pair.append(element("dt", label), element("dd", text, className));
    return pair;
  }));
  byId("processes").replaceChildren(...now.processes.map((one) => row([
    [one.process, "text"], [one.namespace, "text"], [number(one.reads_per_s), "number"],
    [share(one.hit_ratio), "number"], [number(one.loads_per_s, 1), "number"],
    [number(one.counts.entries || 0), "number"],
    [one.live ? one.coherence : `${one.coherence}: no`, one.live ? "good" : "bad"],
  ])));
  const hot = now.spaces.flatMap((one) => one.hot.map((key) => ({ ...key, namespace: one.namespace })));
  hot.sort((a, b) => b.reads - a.reads);
  byId("hot").replaceChildren(...hot.slice(0, 10).map((one) => row([
    [one.key, "text"], [one.namespace, "text"], [number(one.reads), "number"],
  ])));
}

function row(cells) {
  const made = document.createElement("tr");
  made.append(...cells.map(([text, className]) => element("td", text, className)));
  return made;
}

function choices(names) {
  const select = byId("namespace");
  const known = [...select.options].slice(1).map((one) => one.value);
  if (known.join("\n") === names.join("\n")) return;
  if (chosen && !names.includes(chosen)) names.push(chosen);
  const options = names.map((name) => {
    const option = element("option", name);
    option.value = name;
    return option;
  });
  select.replaceChildren(select.options[0], ...options);
  select.value = chosen;
}

// -- charts -----------------------------------------------------------------------------------

const CHARTS = [
  ["c-ratio", [["hit ratio", (s) => s.ratio]], (u, values) => values.map((v) => `${Math.round(100 * v)} %`), [0, 1]],
  ["c-sources", [["memory", (s) => s.l1], ["Redis", (s) => s.l2], ["neither", (s) => s.misses]]],
  ["c-loads", [["p99", (s) => s.slow]]],
  ["c-trouble", [["stale", (s) => s.stale], ["errors", (s) => s.errors], ["shed", (s) => s.shed]]],
  ["c-invalidations", [["invalidated", (s) => s.invalidations]]],
];

function draw() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: color("--soft"), grid: { stroke: color("--grid") }, ticks: { stroke: color("--grid") } };
  charts.forEach((one) => one.plot.destroy());
  charts = CHARTS.map(([id, lines, values, range]) => {
    const place = byId(id);
    const plot = new uPlot({
      width: place.clientWidth, height: 200,
      series: [{ value: (u, at) => clock(at) }, ...lines.map(([label], i) => ({
        label, stroke: color(`--series${i + 1}`), width: 2, dash: [[], [6, 3], [2, 3]][i],
        value: (u, v) => (v === null || v === undefined ? "-" : number(v, 2)),
      }))],
      scales: { x: { range: (u, low, high) => [low, looks.length > 1 ? high : low + 10] }, y: { range: (u, low, high) => range || [0, Math.max(high || 0, 1)] } },
      axes: [{ ...axis, space: 80, values: (u, times) => times.map(clock) }, { ...axis, size: 56, ...(values ? { values } : {}) }],
      cursor: { y: false },
    }, data(lines), place);
    return { plot, lines, place };
  });
}

function data(lines) {
  const seen = looks.map(({ view }) => summed(view));
  return [looks.map(({ at }) => at), ...lines.map(([, read]) => seen.map((one) => read(one)))];
}

const redraw = () => charts.forEach((one) => one.plot.setData(data(one.lines)));

// -- the stream -------------------------------------------------------------------------------

function said(text, className = "") {
  const place = byId("connection");
  if (place.textContent !== text) place.textContent = text;
  place.className = className;
}

function take(view) {
  if (view.error) said(`Redis does not answer: ${view.error}`, "bad");
  else said("live", "good");
  if (!view.namespaces) return;
  looks.push({ at: Date.now() / 1000, view });
  if (looks.length > LOOKS) looks.shift();
  show(view);
  redraw();
}

async function listen() {
  for (;;) {
    try {
      const reply = await fetch("state", { headers: asked(), cache: "no-store" });
      if (reply.status === 401 || reply.status === 403) {
        said((await reply.json()).error, "bad");
        await new Promise((resolve) => byId("unlock").addEventListener("submit", resolve, { once: true }));
        continue;
      }
      if (!reply.ok) throw new Error(String(reply.status));
      let rest = "";
      const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const events = (rest + part.value).split("\n\n");
        rest = events.pop();
        events.forEach((event) => take(JSON.parse(event.replace(/^data: /, ""))));
      }
    } catch (error) {
      said("the server is away: asking again", "bad");
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

// -- journals ---------------------------------------------------------------------------------

async function letters() {
  let reply;
  try {
    reply = await fetch("letters", { headers: asked(), cache: "no-store" });
  } catch (error) {
    return;
  }
  const found = await reply.json();
  if (!reply.ok) {
    byId("journals").replaceChildren(element("p", found.error, "bad"));
    return;
  }
  const parts = found.journals.flatMap((one) => journal(one, found.can_change));
  byId("journals").replaceChildren(...(parts.length ? parts : [element("p", "There is no journal on this Redis.")]));
}

function journal(one, canChange) {
  const state = `${number(one.records)} waiting (${size(one.bytes)}, oldest ${number(one.oldest_age_s, 1)} s), ${number(one.dead)} dead`;
  const parts = [element("h3", `${one.name} of ${one.namespace}`), element("p", state, one.dead ? "bad" : "")];
  if (!one.letters.length) return parts;
  const table = document.createElement("table");
  const head = document.createElement("tr");
  ["key", "attempts", "reason", "died", ""].forEach((text) => {
    const cell = element("th", text);
    cell.scope = "col";
    head.append(cell);
  });
  const body = document.createElement("tbody");
  one.letters.forEach((letter) => {
    const line = row([[letter.key, "text"], [number(letter.attempts), "number"], [letter.reason + (letter.superseded ? " (superseded)" : ""), "text"], [letter.died, ""]]);
    const cell = document.createElement("td");
    ["retry", "drop"].forEach((verb) => {
      const button = element("button", verb);
      button.type = "button";
      button.disabled = !canChange;
      button.setAttribute("aria-label", `${verb} the write of ${letter.key}`);
      button.addEventListener("click", () => change(verb, one, letter));
      cell.append(button);
    });
    line.append(cell);
    body.append(line);
  });
  const top = document.createElement("thead");
  top.append(head);
  table.append(top, body);
  const scroll = element("div", "", "scroll");
  scroll.tabIndex = 0;
  scroll.append(table);
  return [...parts, scroll];
}

async function change(verb, one, letter) {
  if (verb === "drop" && !confirm(`Drop the write of ${letter.key}? The source will never have it.`)) return;
  const place = byId("letters-said");
  try {
    const reply = await fetch(`letters/${verb}`, {
      method: "POST",
      headers: asked({ "Content-Type": "application/json" }),
      body: JSON.stringify({ namespace: one.namespace, name: one.name, sequence: String(letter.sequence) }),
    });
    const answer = await reply.json();
    place.textContent = `${letter.key}: ${reply.ok ? answer.said : answer.error}`;
    place.className = reply.ok ? "good" : "bad";
  } catch (error) {
    place.textContent = "the server is away";
    place.className = "bad";
  }
  await letters();
}

// -- from the start ---------------------------------------------------------------------------

byId("namespace").addEventListener("change", (event) => {
  chosen = event.target.value;
  if (looks.length) show(looks[looks.length - 1].view);
  redraw();
});
byId("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  sessionStorage.setItem("token", token);
  byId("token").value = "";
  letters();
});
byId("letters-again").addEventListener("click", letters);
let settling;
new ResizeObserver(() => {
  clearTimeout(settling);
  settling = setTimeout(() => charts.forEach((one) => one.plot.setSize({ width: one.place.clientWidth, height: 200 })), 100);
}).observe(byId("main"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
listen();
letters();
setInterval(letters, 10000);
