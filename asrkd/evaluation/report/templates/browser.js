"use strict";
(function () {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const data = read("utterance-data"), clips = new Map(Object.entries(read("clip-data")));
  const list = document.getElementById("list"), more = document.getElementById("more");
  const status = document.getElementById("matches"), chip = document.getElementById("chip");
  const form = document.getElementById("filters"), player = document.getElementById("player");
  const control = (name) => form.elements[name];
  const PAGE = 20;
  const KINDS = {
    sub: (e) => !e[1] && e[2] !== null, del: (e) => e[2] === null, ins: (e) => e[1] === 1, any: () => true,
  };
  let pair = null, matching = [], numShown = 0, playing = null;

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const option = (select, value, text) => {
    const element = make("option", "", text);
    element.value = value;
    select.append(element);
  };

  for (const utterance of data.utterances) {
    const words = utterance.errors.flat().map((e) => e[2] || "");
    // Units other than words can be searched as they are written, without spaces.
    const references = [utterance.reference.join(" "), data.unit === "word" ? "" : utterance.reference.join("")];
    utterance.text = [utterance.id, ...references, ...words].join("\n").toLowerCase();
    utterance.counts = utterance.errors.map((errors) => errors.length);
  }
  data.speakers.forEach((name, number) => option(control("speaker"), number, name));
  data.systems.forEach((system, number) => {
    option(control("system"), number, system.name);
    option(control("against"), number, system.name);
  });
  const baseline = data.systems.findIndex((system) => system.role === "baseline");
  control("against").value = Math.max(baseline, 0);

  const isWanted = (kind) => KINDS[kind] || ((e) => e[3] === kind);
  const referenceWord = (utterance, error) => (error[1] ? null : utterance.reference[error[0]]);

  function matches(utterance) {
    const query = control("q").value.trim().toLowerCase(), kind = control("kind").value;
    const system = control("system").value, speaker = control("speaker").value;
    if (query && !utterance.text.includes(query)) return false;
    if (speaker !== "" && utterance.speaker !== Number(speaker)) return false;
    if (control("audio").checked && !clips.has(utterance.id)) return false;
    const errors = system === "" ? utterance.errors.flat() : utterance.errors[Number(system)];
    if (pair) {
      const isPair = (e) => referenceWord(utterance, e) === pair.reference && e[2] === pair.hypothesis;
      if (!utterance.errors[pair.system].some(isPair)) return false;
    }
    if (kind === "") return true;
    return kind === "none" ? errors.length === 0 : errors.some(isWanted(kind));
  }

  function order() {
    const system = control("system").value, against = Number(control("against").value);
    const sum = (u) => u.counts.reduce((a, b) => a + b, 0);
    const best = (u, pick) => (system === "" ? pick(...u.counts) : u.counts[Number(system)]);
    const keys = {
      differ: (u) => Math.max(...u.counts) - Math.min(...u.counts),
      most: (u) => (system === "" ? sum(u) : u.counts[Number(system)]),
      worse: (u) => best(u, Math.max) - u.counts[against],
      better: (u) => u.counts[against] - best(u, Math.min),
      long: (u) => u.duration || 0,
      id: () => 0,
    };
    const key = keys[control("sort").value];
    return (a, b) => key(b) - key(a) || (a.id < b.id ? -1 : 1);
  }

  function update() {
    const sort = control("sort").value;
    document.getElementById("against-label").hidden = sort !== "worse" && sort !== "better";
    chip.hidden = !pair;
    if (pair) chip.textContent = `${pair.reference ?? "nothing"} → ${pair.hypothesis ?? "nothing"} by ${data.systems[pair.system].name} ✕`;
    matching = data.utterances.filter(matches).sort(order());
    const total = data.utterances.length;
    status.textContent = matching.length === total ? `All ${total} utterances` : `${matching.length} of ${total} utterances`;
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
    const item = make("li", "utt card"), header = make("header"), about = make("div");
    item.dataset.id = utterance.id;
    if (clips.has(utterance.id)) header.append(playButton(utterance.id));
    const facts = [data.speakers[utterance.speaker]];
    if (utterance.duration !== undefined) facts.push(`${utterance.duration.toFixed(1)} s`);
    if (utterance.snr !== undefined) facts.push(`${utterance.snr.toFixed(1)} dB`);
    about.append(make("h4", "", utterance.id), make("span", "", facts.join(" · ")));
    header.append(about);
    const scroll = make("div", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `Hypotheses of ${utterance.id}`);
    scroll.append(table(utterance));
    item.append(header, scroll);
    return item;
  }

  // Columns: each gap, as wide as the most words that a system inserted there, then the word after it.
  function table(utterance) {
    const element = make("table", data.unit === "char" ? "words tight" : "words"), body = make("tbody");
    const at = utterance.errors.map((errors) => {
      const places = new Map();
      for (const e of errors) {
        const key = `${e[0]}/${e[1]}`;
        places.set(key, [...(places.get(key) || []), e]);
      }
      return places;
    });
    const widths = [...utterance.reference, null].map((_, gap) =>
      Math.max(0, ...at.map((places) => (places.get(`${gap}/1`) || []).length)));
    const row = (header, cell) => {
      const line = make("tr");
      line.append(header);
      widths.forEach((width, index) => {
        for (let number = 0; number < width; number++) line.append(cell(index, number));
        if (index < utterance.reference.length) line.append(cell(index, null));
      });
      body.append(line);
      return line;
    };
    const head = make("th", "", "reference");
    head.scope = "row";
    row(head, (index, inserted) => make("td", "", inserted === null ? utterance.reference[index] : "")).className = "ref";
    data.systems.forEach((system, number) => {
      const header = make("th", system.css);
      header.scope = "row";
      const line = make("span");
      line.append(make("i"), make("span", "", system.name), make("b", "", String(utterance.counts[number])));
      header.append(line);
      header.title = `${utterance.counts[number]} errors`;
      row(header, (index, inserted) => {
        const errors = at[number].get(`${index}/${inserted === null ? 0 : 1}`) || [];
        const error = errors[inserted === null ? 0 : inserted], cell = make("td");
        if (error) cell.append(errorMark(utterance, error));
        else if (inserted === null) cell.textContent = utterance.reference[index];
        return cell;
      });
    });
    element.append(body);
    return element;
  }

  function errorMark(utterance, error) {
    const kind = error[1] ? "ins" : error[2] === null ? "del" : "sub";
    const text = { ins: `+${error[2]}`, del: "–", sub: error[2] }[kind];
    const mark = make("span", `e e-${kind}${error[3] === "inherited" ? " inherited" : ""}`, text);
    const words = { ins: "inserted", del: "deleted", sub: "substituted" }[kind];
    mark.title = error[3] ? `${words}, ${error[3]}` : words;
    mark.append(make("span", "hidden", ` (${mark.title})`));
    return mark;
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
  form.addEventListener("change", update); // some browsers send only this for a select
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", showMore);
  chip.addEventListener("click", () => { pair = null; update(); });
  for (const button of document.querySelectorAll("button.pair")) {
    button.addEventListener("click", () => {
      const { reference, hypothesis, student } = JSON.parse(button.dataset.pair);
      const system = data.systems.findIndex((each) => each.name === student);
      if (system < 0) return;
      form.reset();
      control("against").value = Math.max(baseline, 0);
      pair = { reference, hypothesis, system };
      update();
      document.getElementById("utterances").scrollIntoView();
    });
  }
  form.reset();
  control("against").value = Math.max(baseline, 0);
  update();
})();
