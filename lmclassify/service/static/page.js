/* Entry point: gets the description of the model, then sets up the page. */

import { showModel } from "./about.js";
import { getModel } from "./api.js";
import { byId, say } from "./dom.js";
import { setUpFiles } from "./file.js";
import { setUpCorrections } from "./corrections.js";
import { setUpExamples } from "./examples.js";
import { setLabels } from "./label-colours.js";
import { setUpTyping } from "./typing.js";

try {
  const onBusy = () => say(byId("page-error"), "The model is not loaded yet. Trying again…");
  const model = await getModel({ onBusy });
  say(byId("page-error"), "");
  setLabels(model);
  showModel(model);
  setUpFiles();
  setUpCorrections(model);
  setUpExamples(model);
  setUpTyping(model);
} catch (error) {
  const noModel = "This service has models of users only, and this page needs one for all: lmclassify serve -m MODEL.";
  say(byId("page-error"), error.status === 404 ? noModel : `${error.message} Reload this page to try again.`);
  byId("text").disabled = true;
}
