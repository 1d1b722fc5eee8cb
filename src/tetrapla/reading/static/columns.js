// Columns of code: switched on and off, synchronised tabs, lit steps, copying.
// What the reader chose is remembered, where the browser lets it.

(() => {
  "use strict";

  const KEY = "tetrapla-columns";
  const chosen = { off: [], tab: null, ...read() };

  function read() {
    try {
      return JSON.parse(localStorage.getItem(KEY)) || {};
    } catch {
      return {};
    }
  }

  function remember() {
    try {
      localStorage.setItem(KEY, JSON.stringify(chosen));
    } catch {
      // a page from a folder may have no storage
    }
  }

  function of(section, selector) {
    return [...section.querySelectorAll(selector)];
  }

  function show(section) {
    const columns = of(section, ".tp-column");
    const names = columns.map((each) => each.dataset.backend);
    const on = names.filter((name) => !chosen.off.includes(name));
    const shown = on.length > 0 ? on : names.slice(0, 1);
    const tab = names.includes(chosen.tab) ? chosen.tab : names[0];
    for (const column of columns) {
      const name = column.dataset.backend;
      column.hidden = !shown.includes(name) && !(narrow.matches && name === tab);
      column.classList.toggle("tp-chosen", name === tab);
      column.style.setProperty("--place", shown.indexOf(name) + 1);
    }
    section.style.setProperty("--shown", shown.length);
    for (const each of of(section, ".tp-switch")) {
      each.setAttribute("aria-pressed", shown.includes(each.dataset.backend));
    }
    for (const each of of(section, ".tp-tab")) {
      const selected = each.dataset.backend === tab;
      each.setAttribute("aria-selected", selected);
      each.tabIndex = selected ? 0 : -1;
    }
    for (const column of columns) {
      // a tab's panel where there are tabs, and else a group
      const place = column.id;
      column.setAttribute("role", narrow.matches ? "tabpanel" : "group");
      column.setAttribute(
        narrow.matches ? "aria-labelledby" : "aria-label",
        narrow.matches ? `${place}-tab` : column.dataset.backend,
      );
      column.removeAttribute(narrow.matches ? "aria-label" : "aria-labelledby");
    }
  }

  const narrow = matchMedia("screen and (max-width: 767px)");
  const sections = () => [...document.querySelectorAll(".tp-columns")];

  function showAll() {
    sections().forEach(show);
  }

  function light(section, row) {
    for (const each of of(section, ".tp-step")) {
      each.classList.toggle("tp-lit", row !== null && each.dataset.row === row);
    }
  }

  function choose(name) {
    chosen.tab = name;
    remember();
    showAll();
  }

  // Columns above may have changed their heights too.
  function hold(element, before) {
    scrollBy({ top: element.getBoundingClientRect().top - before, behavior: "instant" });
  }

  // One step of a column is reached by Tab, the others from there by arrows.
  function rove(anchor, key) {
    const all = of(anchor.closest(".tp-column"), ".tp-anchor");
    const at = all.indexOf(anchor) + { ArrowDown: 1, ArrowUp: -1 }[key];
    if (all[at]) {
      anchor.tabIndex = -1;
      all[at].tabIndex = 0;
      all[at].focus();
    }
  }

  function watch(section) {
    for (const column of of(section, ".tp-column")) {
      of(column, ".tp-anchor").forEach((each, i) => (each.tabIndex = i === 0 ? 0 : -1));
    }
    section.addEventListener("click", async (event) => {
      const name = event.target.dataset.backend;
      const before = event.target.getBoundingClientRect().top;
      if (event.target.matches(".tp-switch")) {
        const shown = of(section, ".tp-switch[aria-pressed='true']");
        const off = event.target.getAttribute("aria-pressed") === "true";
        if (off && shown.length === 1) {
          return; // the last one stays
        }
        chosen.off = chosen.off.filter((each) => each !== name);
        if (off) {
          chosen.off.push(name);
        }
        remember();
        showAll();
        hold(event.target, before);
      } else if (event.target.matches(".tp-tab")) {
        choose(name);
        hold(event.target, before);
      } else if (event.target.matches(".tp-copy")) {
        const column = event.target.closest(".tp-column");
        const text = of(column, "pre").map((each) => each.textContent).join("");
        try {
          await navigator.clipboard.writeText(`${text.trimEnd()}\n`);
          event.target.textContent = "copied";
        } catch {
          event.target.textContent = "not allowed";
        }
        setTimeout(() => (event.target.textContent = "copy"), 1500);
      }
    });
    section.addEventListener("keydown", (event) => {
      if (event.target.matches(".tp-anchor") && /^Arrow(Up|Down)$/.test(event.key)) {
        rove(event.target, event.key);
        event.preventDefault();
      }
      if (!event.target.matches(".tp-tab")) {
        return;
      }
      const tabs = of(section, ".tp-tab");
      const at = tabs.indexOf(event.target);
      const next = {
        ArrowRight: tabs[(at + 1) % tabs.length],
        ArrowLeft: tabs.at(at - 1),
        Home: tabs[0],
        End: tabs.at(-1),
      }[event.key];
      if (next) {
        choose(next.dataset.backend);
        next.focus();
        event.preventDefault();
      }
    });
    for (const type of ["mouseover", "focusin"]) {
      section.addEventListener(type, (event) => {
        const step = event.target.closest(".tp-step");
        light(section, step?.dataset.row ?? null);
      });
    }
    for (const type of ["mouseleave", "focusout"]) {
      section.addEventListener(type, () => light(section, null));
    }
  }

  // A link to a column shows it, a link to a step lights it.
  function follow() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const column = target?.closest?.(".tp-column");
    if (column) {
      const name = column.dataset.backend;
      chosen.off = chosen.off.filter((each) => each !== name);
      choose(name);
      target.scrollIntoView();
      if (target.matches(".tp-step")) {
        light(column.closest(".tp-columns"), target.dataset.row);
      }
    }
  }

  document.documentElement.classList.add("tp-scripted");

  addEventListener("DOMContentLoaded", () => {
    sections().forEach(watch);
    showAll();
    follow();
    narrow.addEventListener("change", showAll);
    addEventListener("hashchange", follow);
  });
})();
