/* The page: asks what the model is, then lets people try it. */

import { showModel } from "./about.js";
import { getModel } from "./api.js";
import { byId, say } from "./dom.js";
import { setUpFiles } from "./file.js";
import { setUpTyping } from "./typing.js";

try {
  const onBusy = () => say(byId("page-error"), "The service has no model yet. Trying again…");
  const model = await getModel({ onBusy });
  say(byId("page-error"), "");
  showModel(model);
  setUpFiles();
  setUpTyping(model);
} catch (error) {
  say(byId("page-error"), `${error.message} To try again, load this page again.`);
}
