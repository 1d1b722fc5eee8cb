// Open what a link leads into; newer browsers do so by themselves.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let e = target.closest("details"); e; e = e.parentElement.closest("details")) {
    e.open = true;
  }
  target.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();
