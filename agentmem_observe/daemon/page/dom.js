// Changes the page only where something is different, so that focus, selection and open details stay.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function fromTemplate(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

export function element(name, className = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  return made;
}

export function svg(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// The only way that texts of the daemon reach the page: never as markup.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

export function setIcon(icon, name) {
  setAttribute(icon.querySelector("use"), "href", `#i-${name}`);
}

// Make the children of `parent` the nodes of `items`: known ones stay where they are.
export function keyed(parent, known, items, keyOf, make, update) {
  const wanted = new Set(items.map(keyOf));
  for (const [key, entry] of known) {
    if (wanted.has(key)) continue;
    entry.root.remove();
    entry.dispose?.();
    known.delete(key);
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    let entry = known.get(keyOf(item));
    if (!entry) {
      entry = make(item);
      known.set(keyOf(item), entry);
    }
    if (entry.root === place) place = place.nextElementSibling;
    else parent.insertBefore(entry.root, place);
    update(entry, item);
  }
}
