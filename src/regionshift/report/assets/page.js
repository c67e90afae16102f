/* Draws the report. It reads the JSON in #data and #world and nothing else, and writes every value as text. */
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const world = JSON.parse(document.getElementById("world").textContent);
  const main = document.getElementById("main");
  const tip = document.getElementById("tip");
  const drawn = [];

  // ---- text and elements -------------------------------------------------------------------------------------------
  const el = (tag, given, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(given || {})) {
      if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  };
  const utc = d3.utcFormat("%Y-%m-%d %H:%M:%S UTC");
  const instant = (text) => (text ? utc(new Date(text)) : "");
  const ms = (text) => new Date(text).getTime();
  const plural = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many || one + "s"}`;
  const duration = (seconds) => {
    if (seconds === 0) return "0 s";
    if (seconds < 1) return `${seconds.toFixed(2)} s`;
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    if (whole < 60) return `${whole} s`;
    const parts = whole < 3600 ? [[Math.floor(whole / 60), "min"], [whole % 60, "s"]]
      : whole < 86400 ? [[Math.floor(whole / 3600), "h"], [Math.floor((whole % 3600) / 60), "min"]]
      : [[Math.floor(whole / 86400), "d"], [Math.floor((whole % 86400) / 3600), "h"]];
    return parts.filter(([number]) => number).map(([number, unit]) => `${number} ${unit}`).join(" ");
  };
  const size = (bytes) => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let place = 0;
    for (; bytes >= 1000 && place < units.length - 1; place += 1) bytes /= 1000;
    return `${place ? bytes.toFixed(1) : bytes} ${units[place]}`;
  };
  const id = (text) => el("span", { class: "id" }, text);
  const short = (digest) => (digest ? el("span", { class: "id nowrap", title: digest }, digest.slice(0, 12)) : "–");
  const SIGNS = { good: "✓", bad: "✕", back: "↩", open: "…", none: "–" };
  const badge = (tone, text) => el("span", { class: `badge ${tone}` }, el("span", { "aria-hidden": "true" }, SIGNS[tone]), text);
  const listed = (regions) => {
    if (!regions.length) return "";
    return regions.length > 4 ? `${regions.slice(0, 3).join(", ")} and ${regions.length - 3} more` : regions.join(", ");
  };
  const named = (regions) => regions.map((region, place) => [place ? ", " : "", el("span", { class: "nowrap" }, region)]);
  const some = (regions) => [named(regions.length > 4 ? regions.slice(0, 3) : regions), regions.length > 4 ? ` and ${regions.length - 3} more` : ""];
  const capital = (text) => (text ? text[0].toUpperCase() + text.slice(1) : text);

  // ---- parts of the page -------------------------------------------------------------------------------------------
  const nav = document.getElementById("sections");
  const section = (name, title, lead, ...children) => {
    nav.append(el("a", { href: `#${name}` }, title));
    const part = el("section", { id: name, "aria-labelledby": `${name}-title` },
      el("h2", { id: `${name}-title` }, title), lead ? el("p", { class: "lead" }, lead) : null, children);
    main.append(part);
    return part;
  };
  const scroll = (label, ...children) => el("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, children);
  const table = (label, heads, rows, given = {}) => scroll(label, el("table", given,
    el("caption", { class: "hidden" }, label),
    el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col", class: head.right ? "right" : null }, head.text || head)))),
    el("tbody", {}, rows)));
  const row = (first, ...cells) => el("tr", {}, el("th", { scope: "row", class: "nowrap" }, first), cells);
  const cell = (...children) => el("td", {}, children);
  const folded = (title, ...children) => el("details", {}, el("summary", {}, title), children);
  // A chart is drawn for the room that it has, and drawn again when that changes.
  const chart = (draw) => {
    const box = el("div", { class: "box" });
    drawn.push({ box, draw, width: 0 });
    return box;
  };
  const redraw = (force) => {
    for (const each of drawn) {
      const width = Math.floor(each.box.clientWidth);
      if (width && (force || width !== each.width)) {
        each.width = width;
        each.box.replaceChildren();
        each.draw(each.box, width);
      }
    }
  };
  const svgIn = (box, width, height, label) => d3.select(box).append("svg").attr("class", "chart").attr("viewBox", `0 0 ${width} ${height}`)
    .attr("role", "group").attr("aria-label", label);

  // ---- what a pointer or the keyboard is at ------------------------------------------------------------------------
  const showTip = (node, lines) => {
    tip.replaceChildren(...lines.map((line, place) => el("div", {}, place ? line : el("b", {}, line))));
    tip.hidden = false;
    const at = node.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left + at.width / 2 - tip.offsetWidth / 2), document.documentElement.clientWidth - tip.offsetWidth - 8);
    const above = at.top - tip.offsetHeight - 8;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(above > 0 ? above : at.bottom + 8) + scrollY}px`;
  };
  const hideTip = () => { tip.hidden = true; };
  addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
  // One stop of the tab key for a whole chart; arrows go from mark to mark.
  const rove = (marks, linesOf, lineOf) => {
    const nodes = marks.nodes();
    marks.attr("tabindex", (_, place) => (place ? -1 : 0)).attr("role", "img").attr("aria-label", (each) => linesOf(each).join(". "))
      .on("mouseenter focus", function (_, each) { showTip(this, linesOf(each)); }).on("mouseleave blur", hideTip)
      .on("keydown", function (event, each) {
        const here = nodes.indexOf(this);
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        const jump = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        let next = null;
        if (step) next = nodes[here + step];
        if (jump) next = nodes.find((node, place) => (place - here) * jump > 0 && lineOf(d3.select(node).datum()) === lineOf(each) + jump);
        if (event.key === "Home") next = nodes[0];
        if (event.key === "End") next = nodes[nodes.length - 1];
        if (!next) return;
        event.preventDefault();
        this.setAttribute("tabindex", -1);
        next.setAttribute("tabindex", 0);
        next.focus();
      });
  };

  // ---- timeline ----------------------------------------------------------------------------------------------------
  const KINDS = { apply: "apply", validate: "check", bake: "bake", links: "join", "links/validate": "check", approve: "wait",
    unlink: "join", turn: "join", "validate-all": "check", up: "apply", plan: "check", copy: "copy", migrate: "copy", undo: "copy",
    "last-copy": "copy", "catch-up": "copy", gather: "copy", "copy-back": "copy", fence: "join", promote: "join", settings: "apply", name: "apply" };
  const KIND_NAMES = { apply: "change", check: "check", bake: "bake", join: "regions joined", wait: "waits for a person", copy: "copy", failed: "failed" };
  const kindOf = (step) => (step.state === "failed" ? "failed" : KINDS[step.action] || "apply");
  const WHOLE = "environment";
  const stepName = (step) => `${step.back ? "Rollback: " : ""}${step.wave ? `wave ${step.wave}, ` : ""}${step.label}`;
  const endOf = (step, story) => ms(step.ended || (step.state === "open" ? data.made.at : null) || nextAfter(step, story));
  const nextAfter = (step, story) => {
    const later = story.steps.find((other) => ms(other.began) > ms(step.began));
    return (later && later.began) || story.ended || step.began;
  };
  const stepLines = (step, story) => [
    capital(stepName(step)), listed(step.regions) || "the whole environment",
    `${instant(step.began)}, ${step.ended ? `took ${duration((ms(step.ended) - ms(step.began)) / 1000)}` : step.state === "open" ? "not ended" : "its end was not seen"}`,
    ...(step.state === "done" ? [] : [capital(step.state) + (step.error ? `: ${step.error}` : "")]), ...step.notes];

  // Time that nothing but waiting fills is drawn short, else a night's wait would hide what the run did.
  const timeScale = (story, from, to) => {
    const busy = story.steps.filter((step) => step.action !== "approve").map((step) => [ms(step.began), endOf(step, story)]).sort((a, b) => a[0] - b[0]);
    const merged = [];
    for (const [began, ended] of busy) {
      const last = merged[merged.length - 1];
      if (last && began <= last[1]) last[1] = Math.max(last[1], ended);
      else merged.push([began, ended]);
    }
    const all = d3.sum(merged, (each) => each[1] - each[0]) || 1;
    const start = ms(story.started);
    const end = Math.max(merged.length ? merged[merged.length - 1][1] : start, story.ended ? ms(story.ended) : start, start + 1);
    const gaps = [];
    let before = start;
    for (const [began, ended] of [...merged, [end, end]]) {
      if (began - before > Math.max(60000, all / 3)) gaps.push([before, began]);
      before = Math.max(before, ended);
    }
    const real = end - start - d3.sum(gaps, (gap) => gap[1] - gap[0]);
    const each = Math.min(0.08, 0.4 / Math.max(1, gaps.length));
    const room = to - from;
    const domain = [start];
    const range = [from];
    for (const gap of gaps) {
      const at = range[range.length - 1] + ((gap[0] - domain[domain.length - 1]) / Math.max(1, real)) * room * (1 - each * gaps.length);
      domain.push(gap[0], gap[1]);
      range.push(at, at + room * each);
    }
    domain.push(end);
    range.push(to);
    return { at: d3.scaleLinear(domain, range).clamp(true), gaps, start, end };
  };

  const drawTimeline = (story) => (box, width) => {
    const narrow = width < 560;
    const order = [...story.waves.flat(), ...story.regions].filter((region, place, all) => all.indexOf(region) === place);
    const used = new Set(story.steps.flatMap((step) => (step.regions.length ? step.regions : [WHOLE])));
    const lines = [...order, ...[...used].filter((region) => !order.includes(region))];
    const high = lines.length > 12 ? 19 : 27;
    const left = narrow ? 104 : story.waves.length ? 176 : 132;
    const top = 26;
    const height = top + high * lines.length + 8;
    const { at, gaps, start, end } = timeScale(story, left, width - 12);
    const svg = svgIn(box, width, height, `Timeline of ${story.run}: ${plural(lines.length, "line")}, ${plural(story.steps.length, "step")}. The arrow keys go from step to step.`);
    const y = (line) => top + high * line;
    svg.append("g").attr("aria-hidden", "true").selectAll("rect").data(lines).join("rect").attr("class", "stripe").attr("x", 0).attr("width", width)
      .attr("y", (_, line) => y(line)).attr("height", high).attr("fill-opacity", (_, line) => (line % 2 ? 0 : 1));
    const scale = svg.append("g").attr("aria-hidden", "true");
    const wanted = Math.max(2, Math.floor((width - left) / 110));
    const every = niceStep((end - start - d3.sum(gaps, (gap) => gap[1] - gap[0])) / 1000 / wanted) * 1000;
    let last = -99;
    for (let time = start; time <= end; time += every) {
      const gap = gaps.find(([began, ended]) => time > began && time < ended);
      if (gap) { time = start + Math.floor((gap[1] - start) / every) * every; continue; }
      const x = at(time);
      if (x - last < 58 || x > width - 40) continue;
      last = x;
      scale.append("line").attr("class", "wave-line").attr("x1", x).attr("x2", x).attr("y1", top - 4).attr("y2", height - 8);
      scale.append("text").attr("x", x).attr("y", 13).text(time === start ? "start" : `+${duration((time - start) / 1000)}`);
    }
    for (const [began, ended] of gaps) {
      const x = (at(began) + at(ended)) / 2;
      scale.append("line").attr("class", "gap").attr("x1", x).attr("x2", x).attr("y1", top - 4).attr("y2", height - 8);
      scale.append("title").text(`${duration((ended - began) / 1000)} of waiting, shortened here`);
    }
    const names = svg.append("g").attr("aria-hidden", "true");
    names.selectAll("text").data(lines).join("text").attr("class", "name").attr("x", 4).attr("y", (_, line) => y(line) + high / 2 + 4)
      .style("font-size", high < 20 ? "11px" : null).text((line) => line);
    if (!narrow) story.waves.forEach((wave, number) => {
      const places = wave.map((region) => lines.indexOf(region)).filter((line) => line >= 0);
      if (!places.length) return;
      const [first, final] = d3.extent(places);
      names.append("line").attr("class", "gap").attr("x1", left - 54).attr("x2", left - 54).attr("y1", y(first) + 4).attr("y2", y(final) + high - 4);
      names.append("text").attr("x", left - 49).attr("y", (y(first) + y(final) + high) / 2 + 4).style("font-size", "11px").text(`wave ${number + 1}`);
    });
    const marks = story.steps.flatMap((step) => (step.regions.length ? step.regions : [WHOLE]).map((region) => ({ step, line: lines.indexOf(region) })))
      .sort((a, b) => a.line - b.line || ms(a.step.began) - ms(b.step.began));
    const bars = svg.append("g").selectAll("g").data(marks).join("g").attr("class", "bar");
    const x0 = (mark) => at(ms(mark.step.began));
    const wide = (mark) => Math.max(5, at(endOf(mark.step, story)) - x0(mark) - 1);
    bars.append("rect").attr("class", (mark) => `body ${mark.step.ended || mark.step.state === "open" ? `k-${kindOf(mark.step)}` : "cut"} ${mark.step.back ? "way-back" : ""}`)
      .attr("x", x0).attr("width", wide).attr("y", (mark) => y(mark.line) + 3).attr("height", high - 6)
      .attr("fill-opacity", (mark) => (mark.step.state === "left" ? 0.35 : mark.step.state === "open" ? 0.55 : 1));
    bars.filter((mark) => wide(mark) > (mark.step.state === "failed" ? 16 : 11 + mark.step.label.length * 6.4) && high > 20 || mark.step.state === "failed" && wide(mark) > 12)
      .append("text").attr("x", (mark) => x0(mark) + 6).attr("y", (mark) => y(mark.line) + high / 2 + 4)
      .text((mark) => (mark.step.state === "failed" ? (wide(mark) > 20 + mark.step.label.length * 6.4 ? `✕ ${mark.step.label}` : "✕") : mark.step.label));
    rove(bars, (mark) => stepLines(mark.step, story), (mark) => mark.line);
  };
  const niceStep = (seconds) => [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 172800, 604800]
    .find((each) => each >= seconds) || 2592000;
  const legend = (story) => {
    const kinds = [...new Set(story.steps.map(kindOf))];
    const items = kinds.map((kind) => el("li", {}, el("span", { class: `swatch k-${kind}`, "aria-hidden": "true" }), KIND_NAMES[kind]));
    if (story.steps.some((step) => step.back)) items.push(el("li", {}, el("span", { class: "swatch way-back-swatch", "aria-hidden": "true" }), "rollback"));
    return el("ul", { class: "legend", "aria-label": "Colours" }, items);
  };
  const TONES = { done: "good", failed: "bad", left: "none", open: "open", "cut off": "bad" };
  const stepTable = (story) => folded(`The steps as a table (${story.steps.length})`, table(`Steps of ${story.run}`, ["Step", "Regions", "Began", "Took", "Ended as", "Details"],
    story.steps.map((step) => row(capital(stepName(step)), el("td", { class: "wrap" }, step.regions.length ? named(step.regions) : "the whole environment"),
      el("td", { class: "nowrap" }, instant(step.began)), el("td", { class: "nowrap" }, step.ended ? duration((ms(step.ended) - ms(step.began)) / 1000) : "–"),
      el("td", { class: "nowrap" }, badge(TONES[step.state], step.state)), el("td", { class: "wrap" }, [...(step.error ? [step.error] : []), ...step.notes].join("; "))))));
  const timeline = (story) => [legend(story), chart(drawTimeline(story)), stepTable(story)];

  // ---- the head ----------------------------------------------------------------------------------------------------
  const story = data.story;
  document.getElementById("name").append(data.environment.name);
  document.getElementById("about").append(
    `Account ${data.environment.account} · ${data.environment.target === "aws" ? "AWS" : "embedded AWS, offline"} · ${plural(data.regions.length, "region")}, primary now ${data.environment.primary}`);
  document.getElementById("foot").append(
    `Made on ${instant(data.made.at)} by ${data.made.by || "somebody"} with regionshift ${data.made.version}, from the journal and the kept releases. `,
    "Country shapes: Natural Earth. This page loads nothing from the network.");

  const results = data.checks ? data.checks.results : [];
  const verdict = () => {
    if (!story) {
      main.append(el("section", { class: "verdict open" }, el("div", { class: "sign", "aria-hidden": "true" }, "…"), el("h2", {}, "No run yet"),
        el("p", { class: "muted" }, "The journal of this environment is empty.")));
      return;
    }
    const took = story.ended ? (ms(story.ended) - ms(story.started)) / 1000 : (ms(data.made.at) - ms(story.started)) / 1000;
    const baked = new Map(story.steps.filter((step) => step.action === "bake" && step.ended).map((step) => [step.step, (ms(step.ended) - ms(step.began)) / 1000]));
    const bake = d3.sum(baked.values());
    const waited = d3.sum(story.steps.filter((step) => step.action === "approve" && step.ended), (step) => (ms(step.ended) - ms(step.began)) / 1000);
    const changed = Object.values(story.per_region).filter((what) => what !== "unchanged").length;
    const passed = results.filter((result) => result.outcome !== "failed").length;
    const delays = data.links.filter((link) => link.seconds !== null);
    const slowest = d3.max(delays, (link) => link.seconds);
    const tile = (name, value, note) => el("div", {}, el("dt", {}, name), el("dd", {}, value, note ? el("small", {}, note) : null));
    const first = story.turns.find((turn) => turn.why);
    main.append(el("section", { class: `verdict ${story.tone}`, id: "verdict", "aria-labelledby": "verdict-title" },
      el("div", { class: "sign", "aria-hidden": "true" }, SIGNS[story.tone]),
      el("h2", { id: "verdict-title" }, `${story.title}: ${story.told}`),
      el("p", { class: "muted" }, id(story.run), ` · ${story.by || "somebody"} · ${instant(story.started)}`, story.reason ? ` · “${story.reason}”` : ""),
      first ? el("p", {}, el("b", {}, `${capital(first.what)}: `), first.why) : el("p", {}),
      story.taken_back_by.length ? el("p", {}, "Rolled back later by ", story.taken_back_by.map((run, place) => [place ? ", " : "", id(run)]), ".") : null,
      story.missing ? el("p", {}, story.missing) : null,
      story.go_on ? el("p", {}, "Next: ", el("code", {}, story.go_on)) : null,
      el("dl", { class: "tiles" },
        tile(story.ended ? "Took" : "Since", duration(took), [...(bake ? [`bake ${duration(bake)}`] : []), ...(waited ? [`waited ${duration(waited)}`] : [])].join(", ") || null),
        tile("Regions", Object.keys(story.per_region).length ? `${changed} of ${Object.keys(story.per_region).length}` : story.regions.length || "–", Object.keys(story.per_region).length ? "changed" : "in this run"),
        results.length && data.checks.of_run ? tile("Checks", `${passed} of ${results.length}`, passed === results.length ? "passed" : `${results.length - passed} failed`) : null,
        slowest !== undefined ? tile("Slowest replication", duration(slowest), `allowed ${duration(data.environment.rpo_seconds)}`) : null,
        tile("By", el("span", { class: "who" }, story.by || "–"), story.ended ? `ended ${instant(story.ended).slice(11)}` : "not ended"))));
  };
  verdict();

  if (story && story.steps.length) {
    const regions = Object.entries(story.per_region);
    section("timeline", "Timeline", "Each line is a region, each bar a step. Tab goes to the chart, arrow keys from step to step.", timeline(story),
      regions.length ? folded(`How the run left each region (${regions.length})`, table("How the run left each region", ["Region", "In this run"],
        regions.map(([region, what]) => row(region, el("td", { class: "wrap" }, what))))) : null,
      story.parts.map((part) => [el("h3", {}, `${part.title}: ${part.told}`), el("p", { class: "muted" }, id(part.run)), part.steps.length ? timeline(part) : null]));
  }

  // ---- what went back, and why -------------------------------------------------------------------------------------
  const turns = story ? [story, ...story.parts].flatMap((each) => each.turns) : [];
  if (turns.length) {
    const tone = (turn) => (turn.why || / failed$| cut off$/.test(turn.what) ? "bad" : "back");
    section("back", story.tone === "good" ? "Failures and retries" : "What was rolled back, and why", null, el("ol", { class: "notes" }, turns.map((turn) => el("li", { class: tone(turn) },
      el("p", {}, el("b", {}, capital(turn.what)), turn.regions.length ? ` · ${listed(turn.regions)}` : ""), turn.why ? el("p", {}, turn.why) : null,
      el("p", { class: "muted" }, `${instant(turn.at)}, ${duration((ms(turn.at) - ms(story.started)) / 1000)} after the start`)))));
  }

  // ---- map ---------------------------------------------------------------------------------------------------------
  const STATES = { up: ["good", "up"], between: ["back", "between two releases"], attention: ["back", "needs a person"], down: ["bad", "down"], fenced: ["bad", "fenced"], empty: ["none", "nothing there"] };
  const late = (link) => link.seconds !== null && link.seconds > data.environment.rpo_seconds;
  const drawMap = (box, width) => {
    const height = Math.round(width * (width < 560 ? 0.62 : 0.47));
    const land = topojson.feature(world, world.objects.countries);
    land.features = land.features.filter((feature) => feature.properties.name !== "Antarctica");
    const frame = { type: "MultiPoint", coordinates: [[-170, 78], [-168, -54], [190, 78], [179, -54], [0, 80], [0, -54]] };
    const projection = d3.geoNaturalEarth1().fitExtent([[4, 8], [width - 4, height - 6]], frame);
    const path = d3.geoPath(projection);
    const placed = data.regions.filter((region) => region.at);
    const svg = svgIn(box, width, height, `Map: ${placed.map((region) => `${region.region}, ${region.role}, ${STATES[region.state][1]}`).join("; ")}`);
    svg.append("defs").append("clipPath").attr("id", "frame").append("rect").attr("width", width).attr("height", height).attr("rx", 10);
    svg.select("defs").append("marker").attr("id", "arrow").attr("viewBox", "0 0 8 8").attr("refX", 7).attr("refY", 4).attr("markerUnits", "userSpaceOnUse").attr("markerWidth", width < 560 ? 7 : 11).attr("markerHeight", width < 560 ? 7 : 11).attr("orient", "auto")
      .append("path").attr("class", "arrow").attr("d", "M0 0L8 4L0 8z");
    svg.append("rect").attr("class", "sea").attr("width", width).attr("height", height).attr("rx", 10);
    svg.append("g").attr("aria-hidden", "true").attr("clip-path", "url(#frame)").selectAll("path").data(land.features).join("path").attr("class", "land").attr("d", path);
    const where = new Map(placed.map((region) => [region.region, region.at]));
    const links = data.links.filter((link) => where.has(link.from) && where.has(link.to));
    // A bent line from mark to mark says where it goes; the shortest way on the globe would leave the map at its edge.
    const curve = (link) => {
      const [[x0, y0], [x1, y1]] = [projection(where.get(link.from)), projection(where.get(link.to))];
      const far = Math.hypot(x1 - x0, y1 - y0) || 1;
      const bend = [(x0 + x1) / 2 + ((y1 - y0) / far) * far * 0.16 * Math.sign(x1 - x0 || 1), (y0 + y1) / 2 - (Math.abs(x1 - x0) / far) * far * 0.16];
      const back = Math.hypot(x1 - bend[0], y1 - bend[1]) || 1;
      return { from: [x0, y0], bend, to: [x1 - ((x1 - bend[0]) / back) * 8, y1 - ((y1 - bend[1]) / back) * 8] };
    };
    const arcs = svg.append("g").attr("aria-hidden", "true").attr("class", links.length > 12 ? "arcs many-arcs" : "arcs");
    arcs.selectAll("path").data(links).join("path").attr("class", (link) => `arc ${link.seconds === null ? "unmeasured" : ""} ${late(link) ? "late" : ""}`)
      .attr("marker-end", "url(#arrow)").attr("d", (link) => { const { from, bend, to } = curve(link); return `M${from}Q${bend} ${to}`; });
    const taken = [];
    const fits = (area) => area.x0 > 0 && area.x1 < width && area.y0 > 0 && area.y1 < height && !taken.some((other) => area.x0 < other.x1 && area.x1 > other.x0 && area.y0 < other.y1 && area.y1 > other.y0);
    const dots = placed.map((region) => ({ region, xy: projection(region.at) }));
    const around = ({ region, xy: [x, y] }) => {
      const off = region.role === "primary" ? 14 : 10;
      return [[x + off, y + 4, "start"], [x - off, y + 4, "end"], [x, y - off - 2, "middle"], [x, y + off + 10, "middle"], [x + 8, y - 9, "start"], [x - 8, y - 9, "end"], [x + 8, y + 17, "start"], [x - 8, y + 17, "end"]];
    };
    dots.forEach(({ xy }) => taken.push({ x0: xy[0] - 6, x1: xy[0] + 6, y0: xy[1] - 6, y1: xy[1] + 6 }));
    const labels = svg.append("g").attr("aria-hidden", "true");
    const write = (text, kind, letter, spots) => {
      const wide = text.length * letter;
      const spot = spots.map(([x, y, anchor]) => {
        const x0 = anchor === "start" ? x : anchor === "end" ? x - wide : x - wide / 2;
        return { x, y, anchor, area: { x0, x1: x0 + wide, y0: y - 10, y1: y + 3 } };
      }).find((each) => fits(each.area));
      if (!spot) return;
      taken.push(spot.area);
      labels.append("text").attr("class", kind).attr("x", spot.x).attr("y", spot.y).attr("text-anchor", spot.anchor).text(text);
    };
    [...dots].sort((a, b) => (b.region.role === "primary") - (a.region.role === "primary")).forEach((dot) => write(dot.region.region, "place", 7.1, around(dot)));
    if (links.length <= 12) links.filter((link) => link.seconds !== null).forEach((link) => {
      const { from, bend, to } = curve(link);
      const [x, y] = [0, 1].map((axis) => from[axis] / 4 + bend[axis] / 2 + to[axis] / 4);
      write(duration(link.seconds), "delay", 6, [[x, y - 5, "middle"], [x, y + 13, "middle"], [x + 6, y, "start"]]);
    });
    const marks = svg.append("g").selectAll("g").data(dots).join("g").attr("class", "bar").attr("transform", ({ xy }) => `translate(${xy})`);
    marks.filter(({ region }) => region.role === "primary").append("circle").attr("class", "ring").attr("r", 10);
    marks.append("circle").attr("class", ({ region }) => `dot ${region.state}`).attr("r", 6);
    rove(marks, ({ region }) => {
      const link = data.links.find((each) => each.to === region.region);
      return [`${region.region}${region.place ? `, ${region.place}` : ""}`, `${capital(region.role)}, ${STATES[region.state][1]}`, ...(region.note ? [region.note] : []),
        ...(link ? [link.seconds === null ? "Replication delay not measured" : `Replicated after ${duration(link.seconds)}, ${instant(link.at)}`] : [])];
    }, () => 0);
  };
  if (data.regions.length) {
    section("regions", "Regions and replication",
      "The state of every region when this report was made, and the newest measured replication delay from the primary.",
      chart(drawMap),
      table("Regions", ["Region", "Place", "Role", "Release", "State", "Replication delay", "Measured"], data.regions.map((region) => {
        const link = data.links.find((each) => each.to === region.region);
        const [tone, words] = STATES[region.state];
        return row(region.region, cell(region.place || "–"), cell(region.role), cell(short(region.release)),
          el("td", { class: "wrap" }, badge(tone, words), region.note && region.note !== "down" ? el("div", { class: "muted" }, region.note) : null),
          el("td", { class: "nowrap" }, link ? (link.seconds === null ? "not measured" : late(link) ? badge("bad", duration(link.seconds)) : duration(link.seconds)) : "–"),
          el("td", { class: "wrap muted" }, link && link.at ? [el("span", { class: "nowrap" }, instant(link.at)), " ", el("span", { class: "nowrap", title: link.run }, link.run ? `in run ${link.run.split("-")[0]}` : "by validate")] : "–"));
      })));
  }

  // ---- checks ------------------------------------------------------------------------------------------------------
  if (results.length) {
    const MARKS = { passed: ["passed", "✓"], failed: ["failed", "✕"], warning: ["warning", "!"], "not applicable": ["na", "–"] };
    const names = [...new Set(results.map((result) => result.check))];
    const places = [...new Set(results.map((result) => result.region))];
    const by = new Map(results.map((result) => [`${result.check}\n${result.region}`, result]));
    const wrong = results.filter((result) => result.outcome === "failed" || result.outcome === "warning");
    const counts = d3.rollup(results, (each) => each.length, (result) => result.outcome);
    section("checks", "Checks", `${["passed", "failed", "warning", "not applicable"].filter((each) => counts.has(each)).map((each) => `${counts.get(each)} ${each}`).join(", ")}; ${data.checks.of_run ? "checked in this run, last at" : "not checked in this run; the newest results of every region, up to"} ${instant(data.checks.at)}.`,
      table("Checks by region", ["Region", ...names], places.map((region) => row(region, names.map((name) => {
        const found = by.get(`${name}\n${region}`);
        const [kind, mark] = found ? MARKS[found.outcome] : ["na", ""];
        return el("td", { title: found ? found.detail : null }, found ? [el("span", { class: `cell ${kind}`, "aria-hidden": "true" }, mark), el("span", { class: "hidden" }, found.outcome)] : "");
      }))), { class: places.length > 12 ? "checks many" : "checks" }),
      wrong.length ? el("ul", { class: "notes" }, wrong.map((result) => el("li", { class: result.outcome === "failed" ? "bad" : "back" },
        el("p", {}, el("b", {}, `${result.check} in ${result.region}`), ` ${result.outcome}`), el("p", {}, result.detail), result.remedy ? el("p", { class: "muted" }, `→ ${result.remedy}`) : null))) : null,
      folded(`Details of every check (${results.length})`, table("Details of every check", ["Check", "Region", "Outcome", "Seen", "Took"], results.map((result) =>
        row(result.check, el("td", { class: "nowrap" }, result.region), cell(result.outcome), el("td", { class: "wrap" }, result.detail), el("td", { class: "nowrap" }, duration(result.seconds || 0)))))));
  }

  // ---- data --------------------------------------------------------------------------------------------------------
  const drawFunnel = (bars) => (box, width) => {
    const high = 34;
    const left = 104;
    const most = d3.max(bars, (bar) => bar.count) || 1;
    const long = d3.scaleLinear([0, most], [0, width - left - 70]);
    const middle = left + (width - left - 70) / 2;
    const svg = svgIn(box, width, high * bars.length + 6, bars.map((bar) => `${bar.name} ${bar.count}`).join(", "));
    const lines = svg.append("g").attr("aria-hidden", "true");
    bars.forEach((bar, place) => {
      const next = bars[place + 1];
      const half = long(bar.count) / 2;
      const y = place * high + 4;
      if (next && bar.flows && next.flows) {
        const other = long(next.count) / 2;
        lines.append("path").attr("class", "spill").attr("d", `M${middle - half} ${y + 22}L${middle + half} ${y + 22}L${middle + other} ${y + high}L${middle - other} ${y + high}z`);
      }
      lines.append("rect").attr("class", `funnel ${bar.kind}`).attr("x", middle - half).attr("width", Math.max(2 * half, bar.count ? 2 : 0)).attr("y", y).attr("height", 22).attr("rx", 4);
      lines.append("text").attr("class", "name").attr("x", 0).attr("y", y + 16).text(bar.name);
      lines.append("text").attr("x", width).attr("y", y + 16).attr("text-anchor", "end").text(bar.count.toLocaleString("en"));
    });
  };
  const drawPace = (points) => (box, width) => {
    const height = 190;
    const [left, bottom, top] = [48, 26, 14];
    const rates = d3.pairs(points).filter(([one, other]) => other[0] > one[0]).map(([one, other]) => ({ from: one[0], to: other[0], rate: Math.max(0, other[1] - one[1]) / (other[0] - one[0]) }));
    const x = d3.scaleLinear([0, d3.max(points, (point) => point[0]) || 1], [left, width - 8]);
    const y = d3.scaleLinear([0, d3.max(rates, (each) => each.rate) || 1], [height - bottom, top]).nice(4);
    const svg = svgIn(box, width, height, `Throughput: ${rates.length ? `at most ${d3.max(rates, (each) => each.rate).toFixed(1)} items a second over ${duration(points[points.length - 1][0])}` : "one look only"}`);
    const axes = svg.append("g").attr("aria-hidden", "true");
    axes.append("g").attr("transform", `translate(0,${height - bottom})`).call(d3.axisBottom(x).ticks(Math.max(2, width / 110)).tickFormat((value) => duration(value)).tickSizeOuter(0));
    axes.append("g").attr("transform", `translate(${left},0)`).call(d3.axisLeft(y).ticks(4).tickSize(-(width - left - 8)));
    axes.append("text").attr("x", left).attr("y", 9).text("items a second");
    const steps = rates.flatMap((each) => [[each.from, each.rate], [each.to, each.rate]]);
    axes.append("path").attr("class", "area").attr("d", d3.area((point) => x(point[0]), y(0), (point) => y(point[1]))(steps));
    axes.append("path").attr("class", "trend").attr("d", d3.line((point) => x(point[0]), (point) => y(point[1]))(steps));
  };
  if (data.migrations.length) {
    section("data", "Data", "What each migration planned, copied and proved, and what was rolled back.", data.migrations.map((each) => {
      const whole = each.status === "completed" ? "good" : each.status === "rolled back" ? "back" : each.status === "not finished" ? "open" : "bad";
      const bars = [
        { name: "Planned", count: each.planned || 0, kind: "planned", flows: true }, { name: "Copied", count: each.copied, kind: "copied", flows: true },
        { name: "Proven", count: each.proven, kind: "proven", flows: true }, { name: "Conflicts", count: each.conflicts, kind: "conflicts" },
        { name: "Rolled back", count: each.taken_back, kind: "taken" }];
      if (each.left_alone) bars.push({ name: "Left alone", count: each.left_alone, kind: "conflicts" });
      return [
        el("h3", {}, id(each.id), " ", badge(whole, each.status)),
        el("p", { class: "muted" }, `${each.source || "?"} → ${each.target || "?"} · ${size(each.bytes || 0)}${each.same ? ` · ${plural(each.same, "item")} the same before` : ""} · ${each.by.filter(Boolean).join(", ") || "somebody"} · ${instant(each.started)}`),
        el("div", { class: "pair" }, chart(drawFunnel(bars)),
          each.throughput.length > 1 ? chart(drawPace(each.throughput)) : el("p", { class: "muted" }, "No throughput over time: the migration was too short, or no command followed it.")),
        each.reasons.length ? el("ul", { class: "notes" }, each.reasons.map((reason) => el("li", { class: "bad" }, el("b", {}, reason.item), `: ${reason.reason}`))) : null];
    }));
  }

  // ---- releases ----------------------------------------------------------------------------------------------------
  const columns = data.releases.columns;
  if (columns.length) {
    const value = (given) => (given === null || given === undefined ? "–" : typeof given === "string" ? given : JSON.stringify(given));
    section("releases", "Releases side by side", columns.length > 1 ? "Oldest first. Marked values differ from the release before." : "Only one release.",
      table("Releases", ["Release", ...columns.map((column) => ({ text: el("span", {}, short(column.digest)) }))], [
        row("Made", columns.map((column) => el("td", { class: "nowrap" }, instant(column.at)))), row("By", columns.map((column) => cell(column.by || "–"))),
        row("Tool", columns.map((column) => cell(column.tool))),
        row("Runs in", columns.map((column) => el("td", { class: "wrap" }, column.runs_in.length ? named(column.runs_in) : "no region"))),
        ...data.releases.rows.map((each) => el("tr", {}, el("th", { scope: "row", class: "wrap" }, el("code", {}, each.path)), each.values.map((now, place) =>
          el("td", { class: "wrap" }, place && value(now) !== value(each.values[place - 1]) ? el("mark", {}, value(now)) : value(now)))))]),
      data.releases.more ? el("p", { class: "muted" }, `and ${data.releases.more} more values: regionshift diff`) : null);
  }

  // ---- who and when ------------------------------------------------------------------------------------------------
  if (data.history.length) {
    section("history", "History", `The newest ${plural(data.history.length, "run")}, the newest first.`,
      table("Runs", ["Run", "Began", "Took", "By", "Regions", "Ended"], data.history.map((run) => el("tr", story && run.run === story.run ? { "aria-current": "true" } : {},
        el("th", { scope: "row", class: "nowrap" }, id(run.run), story && run.run === story.run ? el("div", { class: "here" }, "this report") : null,
          run.subject ? el("div", { class: "muted" }, `of ${run.subject}`) : null),
        el("td", { class: "nowrap" }, instant(run.started)), el("td", { class: "nowrap" }, run.ended ? duration((ms(run.ended) - ms(run.started)) / 1000) : "–"), cell(run.by || "–"),
        el("td", { class: "wrap" }, some(run.regions)), el("td", { class: "wide-cell" }, badge(run.tone, run.told), run.reason ? el("div", { class: "muted" }, run.reason) : null)))));
  }

  // ---- room --------------------------------------------------------------------------------------------------------
  redraw(true);
  new ResizeObserver(() => redraw(false)).observe(main);
  let opened = [];
  addEventListener("beforeprint", () => { if (!opened.length) opened = [...document.querySelectorAll("details:not([open])")]; opened.forEach((each) => { each.open = true; }); });
  addEventListener("afterprint", () => { opened.forEach((each) => { each.open = false; }); opened = []; });
})();
