/* The page: asks what the model is, then lets people try it. */

import { showModel } from "./about.js";
import { getModel } from "./api.js";
import { byId, say } from "./dom.js";
import { setUpFiles } from "./file.js";
import { setUpTyping } from "./typing.js";

try {
  const model = await getModel();
  showModel(model);
  setUpFiles();
  setUpTyping(model);
} catch (error) {
  say(byId("page-error"), `${error.message} To try again, load this page again.`);
}
