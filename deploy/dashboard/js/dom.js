// Owns how the page makes and changes elements: text only ever goes in as text, and what has not changed is left alone,
// so that a screen reader, a selection and the focus stay where they are.

/** A new element with classes and children (elements or texts). */
export function element(name, classes = "", ...children) {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  made.append(...children);
  return made;
}

/** Give an element its text. */
export function put(node, text) {
  if (node.firstChild?.nodeType === Node.TEXT_NODE && node.childNodes.length === 1) {
    if (node.firstChild.data !== text) node.firstChild.data = text;
  } else if (text !== "" || node.childNodes.length > 0) node.textContent = text;
}

/** Give an element an attribute; null takes it away. */
export function mark(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** One of the icons in index.html; it says nothing that a word beside it does not say. */
export function icon(name) {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("class", "icon");
  picture.setAttribute("aria-hidden", "true");
  picture.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  turn(picture, name);
  return picture;
}

/** Make an icon another one. */
export const turn = (picture, name) => mark(picture.firstChild, "href", `#icon-${name}`);

/** Put children in this order with as few moves as possible; the focus stays where it is. */
export function arrange(parent, wanted) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  let at = parent.firstChild;
  for (const child of wanted) {
    if (child === at) at = at.nextSibling;
    else parent.insertBefore(child, at);
  }
  if (focused !== null && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

/** A list of terms and values, [[term, value]], made once for each set of terms. */
export function define(list, pairs) {
  const same = list.children.length === pairs.length && pairs.every(([term], n) => list.children[n].firstChild.textContent === term);
  if (!same) {
    list.replaceChildren(...pairs.map(([term]) => element("div", "", element("dt", "", term), element("dd"))));
  }
  pairs.forEach(([, value], n) => put(list.children[n].lastChild, value));
}

/** A table with a caption, a row of headers and rows of texts; the first cell of a row is its header. */
export function table(caption, headers, rows) {
  const columns = headers.map((text) => {
    const cell = element("th", "", text);
    cell.scope = "col";
    return cell;
  });
  const lines = rows.map(([first, ...others]) => {
    const header = element("th", "", first);
    header.scope = "row";
    return element("tr", "", header, ...others.map((text) => element("td", "", text)));
  });
  const head = element("thead", "", element("tr", "", ...columns));
  return element("table", "plain", element("caption", "", caption), head, element("tbody", "", ...lines));
}
