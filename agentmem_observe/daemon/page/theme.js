// Puts the remembered theme on the page before anything is drawn: not a module, so that it blocks.
"use strict";

(() => {
  const KEY = "agentmem-observe.theme";
  const THEMES = ["auto", "light", "dark"];
  const root = document.documentElement;

  function remembered() {
    try {
      const theme = localStorage.getItem(KEY);
      return THEMES.includes(theme) ? theme : "auto";
    } catch {
      return "auto"; // storage is denied: the choice then lasts as long as the tab
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      root.dataset.theme = theme; // as above
    }
  }

  root.dataset.theme = remembered();

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = () => {
      button.textContent = `Theme: ${root.dataset.theme}`;
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
      remember(root.dataset.theme);
      label();
    });
    label();
  });
})();
