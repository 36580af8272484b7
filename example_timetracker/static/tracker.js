// The server has written how long the track has been running; from here on the seconds are counted. Without this
// script the page is as it was when it was loaded.
"use strict";

const counter = document.querySelector("[data-seconds]");

if (counter) {
  const start = Date.now() - Number(counter.dataset.seconds) * 1000;
  const two = number => String(number).padStart(2, "0");

  // By the clock and not by counting ticks: a tab in the background is woken less often.
  const show = () => {
    const seconds = Math.max(0, Math.floor((Date.now() - start) / 1000));
    const minutes = Math.floor(seconds / 60);
    counter.textContent = `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
  };

  show();
  setInterval(show, 1000);
}
