"use strict";
(function () {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const data = read("utterance-data"), clips = new Map(Object.entries(read("clip-data")));
  const list = document.getElementById("list"), more = document.getElementById("more");
  const found = document.getElementById("found"), chip = document.getElementById("chip");
  const form = document.getElementById("filters"), player = document.getElementById("player");
  const control = (name) => form.elements[name];
  const PAGE = 20;
  const KINDS = {
    sub: (e) => !e[1] && e[2] !== null, del: (e) => e[2] === null, ins: (e) => e[1] === 1, any: () => true,
  };
  let pair = null, matching = [], numShown = 0, playing = null;

  const make = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const option = (select, value, text) => {
    const made = make("option", "", text);
    made.value = value;
    select.append(made);
  };

  for (const utterance of data.utterances) {
    const heard = utterance.h.flat().map((e) => e[2] || "");
    const said = [utterance.r.join(" "), data.unit === "word" ? "" : utterance.r.join("")]; // as it is written
    utterance.text = [utterance.id, ...said, ...heard].join("\n").toLowerCase();
    utterance.errors = utterance.h.map((errors) => errors.length);
  }
  data.speakers.forEach((name, number) => option(control("speaker"), number, name));
  data.systems.forEach((system, number) => {
    option(control("system"), number, system.name);
    option(control("against"), number, system.name);
  });
  const baseline = data.systems.findIndex((system) => system.role === "baseline");
  control("against").value = Math.max(baseline, 0);

  const isWanted = (kind) => KINDS[kind] || ((e) => e[3] === kind);
  const said = (utterance, error) => (error[1] ? null : utterance.r[error[0]]);

  function matches(utterance) {
    const query = control("q").value.trim().toLowerCase(), kind = control("kind").value;
    const system = control("system").value, speaker = control("speaker").value;
    if (query && !utterance.text.includes(query)) return false;
    if (speaker !== "" && utterance.s !== Number(speaker)) return false;
    if (control("audio").checked && !clips.has(utterance.id)) return false;
    const errors = system === "" ? utterance.h.flat() : utterance.h[Number(system)];
    if (pair) {
      const own = utterance.h[pair.system];
      if (!own.some((e) => said(utterance, e) === pair.said && e[2] === pair.heard)) return false;
    }
    if (kind === "") return true;
    return kind === "none" ? errors.length === 0 : errors.some(isWanted(kind));
  }

  function order() {
    const system = control("system").value, against = Number(control("against").value);
    const sum = (u) => u.errors.reduce((a, b) => a + b, 0);
    const own = (u) => (system === "" ? sum(u) : u.errors[Number(system)]);
    const best = (u, pick) => (system === "" ? pick(...u.errors) : u.errors[Number(system)]);
    const keys = {
      differ: (u) => Math.max(...u.errors) - Math.min(...u.errors),
      most: own,
      worse: (u) => best(u, Math.max) - u.errors[against],
      better: (u) => u.errors[against] - best(u, Math.min),
      long: (u) => u.d || 0,
      id: () => 0,
    };
    const key = keys[control("sort").value];
    return (a, b) => key(b) - key(a) || (a.id < b.id ? -1 : 1);
  }

  function update() {
    const sort = control("sort").value;
    document.getElementById("against-label").hidden = sort !== "worse" && sort !== "better";
    chip.hidden = !pair;
    if (pair) chip.textContent = `${pair.said ?? "nothing"} → ${pair.heard ?? "nothing"} by ${data.systems[pair.system].name} ✕`;
    matching = data.utterances.filter(matches).sort(order());
    const total = data.utterances.length;
    found.textContent = matching.length === total ? `All ${total} utterances` : `${matching.length} of ${total} utterances`;
    list.replaceChildren();
    numShown = 0;
    showMore();
  }

  function showMore() {
    for (const utterance of matching.slice(numShown, numShown + PAGE)) list.append(card(utterance));
    numShown = Math.min(numShown + PAGE, matching.length);
    more.hidden = numShown === matching.length;
    more.textContent = `Show ${Math.min(PAGE, matching.length - numShown)} more`;
  }

  function card(utterance) {
    const made = make("li", "utt card"), header = make("header"), about = make("div");
    made.dataset.id = utterance.id;
    if (clips.has(utterance.id)) header.append(playButton(utterance.id));
    const facts = [data.speakers[utterance.s]];
    if (utterance.d !== undefined) facts.push(`${utterance.d.toFixed(1)} s`);
    if (utterance.n !== undefined) facts.push(`${utterance.n.toFixed(1)} dB`);
    about.append(make("h4", "", utterance.id), make("span", "", facts.join(" · ")));
    header.append(about);
    const scroll = make("div", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `What was heard in ${utterance.id}`);
    scroll.append(table(utterance));
    made.append(header, scroll);
    return made;
  }

  // Columns: each gap as wide as the most words that a system inserted there, then the word behind it.
  function table(utterance) {
    const made = make("table", data.unit === "char" ? "words tight" : "words"), body = make("tbody");
    const at = utterance.h.map((errors) => {
      const places = new Map();
      for (const e of errors) {
        const key = `${e[0]}/${e[1]}`;
        places.set(key, [...(places.get(key) || []), e]);
      }
      return places;
    });
    const widths = [...utterance.r, null].map((_, gap) =>
      Math.max(0, ...at.map((places) => (places.get(`${gap}/1`) || []).length)));
    const row = (header, cell) => {
      const line = make("tr");
      line.append(header);
      widths.forEach((width, index) => {
        for (let number = 0; number < width; number++) line.append(cell(index, number));
        if (index < utterance.r.length) line.append(cell(index, null));
      });
      body.append(line);
      return line;
    };
    const head = make("th", "", "reference");
    head.scope = "row";
    row(head, (index, inserted) => make("td", "", inserted === null ? utterance.r[index] : "")).className = "ref";
    data.systems.forEach((system, number) => {
      const header = make("th", system.css);
      header.scope = "row";
      const line = make("span");
      line.append(make("i"), make("span", "", system.name), make("b", "", String(utterance.errors[number])));
      header.append(line);
      header.title = `${utterance.errors[number]} errors`;
      row(header, (index, inserted) => {
        const errors = at[number].get(`${index}/${inserted === null ? 0 : 1}`) || [];
        const error = errors[inserted === null ? 0 : inserted], cell = make("td");
        if (error) cell.append(errorMark(utterance, error));
        else if (inserted === null) cell.textContent = utterance.r[index];
        return cell;
      });
    });
    made.append(body);
    return made;
  }

  function errorMark(utterance, error) {
    const kind = error[1] ? "ins" : error[2] === null ? "del" : "sub";
    const text = { ins: `+${error[2]}`, del: "–", sub: error[2] }[kind];
    const made = make("span", `e e-${kind}${error[3] === "inherited" ? " inherited" : ""}`, text);
    const words = { ins: "inserted", del: "deleted", sub: "substituted" }[kind];
    made.title = error[3] ? `${words}, ${error[3]}` : words;
    made.append(make("span", "hidden", ` (${made.title})`));
    return made;
  }

  function playButton(id) {
    const button = make("button", "play");
    button.type = "button";
    button.setAttribute("aria-label", `Play ${id}`);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => toggle(id, button));
    return button;
  }

  function toggle(id, button) {
    if (playing === button && !player.paused) {
      player.pause();
      return;
    }
    if (playing !== button) {
      if (playing) rest(playing);
      playing = button;
      const bytes = Uint8Array.from(atob(clips.get(id)), (c) => c.charCodeAt(0));
      if (player.src) URL.revokeObjectURL(player.src);
      player.src = URL.createObjectURL(new Blob([bytes], { type: player.dataset.mime }));
    }
    player.play().then(advance, () => rest(button));
  }

  function advance() {
    if (!playing) return;
    playing.style.setProperty("--done", `${(100 * player.currentTime) / (player.duration || 1)}%`);
    playing.setAttribute("aria-pressed", String(!player.paused));
    if (!player.paused) requestAnimationFrame(advance);
  }

  function rest(button) {
    button.style.setProperty("--done", "0%");
    button.setAttribute("aria-pressed", "false");
  }

  player.addEventListener("ended", () => playing && rest(playing));
  player.addEventListener("pause", () => playing && playing.setAttribute("aria-pressed", "false"));
  form.addEventListener("input", update);
  form.addEventListener("change", update); // what some browsers say of a choice
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", showMore);
  chip.addEventListener("click", () => { pair = null; update(); });
  for (const button of document.querySelectorAll("button.pair")) {
    button.addEventListener("click", () => {
      const { said, heard, student } = JSON.parse(button.dataset.pair);
      const system = data.systems.findIndex((one) => one.name === student);
      if (system < 0) return;
      form.reset();
      control("against").value = Math.max(baseline, 0);
      pair = { said, heard, system };
      update();
      document.getElementById("utterances").scrollIntoView();
    });
  }
  form.reset();
  control("against").value = Math.max(baseline, 0);
  update();
})();
