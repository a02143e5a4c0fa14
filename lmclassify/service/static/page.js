/* Entry point: gets the description of the model, then sets up the page. */

import { showModel } from "./about.js";
import { getModel } from "./api.js";
import { byId, say } from "./dom.js";
import { setUpFiles } from "./file.js";
import { setLabels } from "./label-colours.js";
import { setUpTyping } from "./typing.js";

try {
  const onBusy = () => say(byId("page-error"), "The model is not loaded yet. Trying again…");
  const model = await getModel({ onBusy });
  say(byId("page-error"), "");
  setLabels(model);
  showModel(model);
  setUpFiles();
  setUpTyping(model);
} catch (error) {
  say(byId("page-error"), `${error.message} Reload this page to try again.`);
}
