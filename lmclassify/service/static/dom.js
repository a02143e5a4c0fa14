/* Building blocks. Users' texts and labels get into the page as text only. */

export const byId = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A label's name within a sentence, whatever way it is written. */
export const labelName = (label) => element("bdi", {}, label);

export const counted = (number, one, several = `${one}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? one : several}`;

export function percent(probability) {
  if (probability > 0 && probability < 0.001) return "< 0.1%";
  if (probability > 0.999 && probability < 1) return "> 99.9%";
  return `${(probability * 100).toFixed(1)}%`;
}

export function nats(value) {
  if (Math.abs(value) < 0.0005) return "0.000";
  return `${value > 0 ? "+" : ""}${value.toFixed(3)}`;
}

/** Changes a text only where it differs, so that screen readers do not say it twice. */
export function say(place, ...parts) {
  const said = element("p", {}, ...parts);
  if (place.textContent !== said.textContent) place.replaceChildren(...said.childNodes);
}
