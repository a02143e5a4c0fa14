/* Helpers for the page. Texts and labels are inserted as text only, never as HTML. */

export const byId = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A label's name in a sentence, isolated so that its writing direction does not affect the rest. */
export const labelName = (label) => element("bdi", {}, label);

/** The same for text that is no element, such as a title: between FIRST STRONG ISOLATE and its end. */
export const isolated = (text) => (/^[\x20-\x7e]*$/.test(text) ? text : `\u2068${text}\u2069`);

export const counted = (number, one, several = `${one}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? one : several}`;

export function percent(probability) {
  if (probability > 0 && probability < 0.001) return "< 0.1%";
  if (probability > 0.999 && probability < 1) return "> 99.9%";
  return `${(probability * 100).toFixed(1)}%`;
}

export function nats(value) {
  if (Math.abs(value) < 0.005) return "0.00";
  return `${value > 0 ? "+" : ""}${value.toFixed(2)}`;
}

/** Changes a text only if it differs, so that screen readers do not repeat it. */
export function say(place, ...parts) {
  const said = element("p", {}, ...parts);
  if (place.textContent !== said.textContent) place.replaceChildren(...said.childNodes);
}
