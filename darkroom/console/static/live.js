// Replaces regions of a page with what the server renders anew, and does nothing else. A page says where its updates
// come from by `data-stream`; each update names the element by its id. Without this script pages are complete, and
// show what was when they were loaded.

const source = document.querySelector("[data-stream]");
if (source) follow(source.dataset.stream);

function follow(url) {
  let stream = null;
  const open = () => {
    stream = new EventSource(url);
    stream.onopen = () => document.documentElement.dataset.live = "on";
    stream.onerror = () => document.documentElement.dataset.live = "lost";
    stream.onmessage = (message) => apply(JSON.parse(message.data));
  };
  const close = () => {
    stream?.close();
    stream = null;
    document.documentElement.dataset.live = "paused";
  };
  // A page that nobody sees costs nothing.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (!stream && !isPaused()) open();
  });
  addEventListener("pagehide", close);
  const button = document.querySelector("[data-pause]");
  const isPaused = () => button?.getAttribute("aria-pressed") === "true";
  if (button) {
    button.hidden = false;
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(!isPaused()));
      if (isPaused()) close();
      else open();
    });
  }
  open();
}

function apply({ region, html, mode, keep }) {
  const element = document.getElementById(region);
  if (!element) return;
  if (mode === "replace") return replace(element, html);
  element.insertAdjacentHTML(mode === "prepend" ? "afterbegin" : "beforeend", html);
  while (keep && element.children.length > keep) {
    (mode === "prepend" ? element.lastElementChild : element.firstElementChild).remove();
  }
}

function replace(element, html) {
  // Whoever moves through the region by keyboard stays where they are.
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...element.querySelectorAll("details[open][id]")].map((each) => each.id);
  element.innerHTML = html;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}
